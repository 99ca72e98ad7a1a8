// openai (JavaScript) in Node: a WebSocket, always with TLS, and nothing of a player or a microphone.

import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { run } from "./node.mjs";
import { Call, DESCRIPTION, RESULT, SCHEMA, Sound, TOOL } from "./scenario.mjs";

class OpenAICall extends Call {
  async open() {
    const client = new OpenAI({ apiKey: "none", baseURL: `https://${this.place}/v1` });
    this.realtime = new OpenAIRealtimeWS({ model: "gpt-realtime", options: { rejectUnauthorized: false } }, client);
    this.realtime.on("error", (error) => this.complain(error));
    this.realtime.on("event", (event) => this.hear(event));
    const tool = { type: "function", name: TOOL, description: DESCRIPTION, parameters: SCHEMA };
    const forced = this.hasTool ? { tools: [tool], tool_choice: { type: "function", name: TOOL } } : {};
    const audio = { input: { transcription: { model: "gpt-4o-mini-transcribe" } } };
    await this.until("session.created", () => this.created);
    this.send_({ type: "session.update", session: { type: "realtime", audio, ...forced } });
    await this.until("session.updated", () => this.updated);
  }

  async close() {
    this.realtime.close();
  }

  send_(event) {
    this.realtime.send(event);
  }

  send(packet) {
    this.send_({ type: "input_audio_buffer.append", audio: Buffer.from(packet).toString("base64") });
  }

  show(picture) {
    const content = [{ type: "input_image", image_url: picture }];
    this.send_({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
  }

  hear(event) {
    this.count(event.type);
    const { type } = event;
    if (type === "session.created") this.created = true;
    else if (type === "session.updated") this.updated = true;
    else if (type === "conversation.item.input_audio_transcription.completed") this.questions.push(event.transcript);
    else if (type === "response.output_audio.delta") this.play(event);
    else if (type === "input_audio_buffer.speech_started") this.stop();
    else if (type === "conversation.item.truncated") {
      this.cuts.push({ audio_end_ms: event.audio_end_ms });
      this.send_({ type: "conversation.item.retrieve", item_id: event.item_id });
    } else if (type === "conversation.item.retrieved") this.cuts.at(-1).kept = event.item.content[0].transcript;
    else if (type === "response.output_audio_transcript.done") this.answers.push(event.transcript);
    else if (type === "response.function_call_arguments.done") this.answerCall(event);
    else if (type === "conversation.item.done" && event.item.type === "function_call_output") {
      this.results.push(event.item.output);
    }
  }

  play(event) {
    if (event.item_id !== this.playing) this.sounds.push(new Sound());
    this.playing = event.item_id;
    this.sounds.at(-1).push(new Uint8Array(Buffer.from(event.delta, "base64")));
  }

  stop() {
    const sound = this.sounds.at(-1);
    if (sound === undefined) return;
    sound.stop();
    const where = { item_id: this.playing, content_index: 0, audio_end_ms: sound.playedMs };
    this.send_({ type: "conversation.item.truncate", ...where });
  }

  answerCall(event) {
    this.calls.push({ name: event.name, arguments: event.arguments });
    this.send_({ type: "session.update", session: { type: "realtime", tool_choice: "auto" } });
    const item = { type: "function_call_output", call_id: event.call_id, output: JSON.stringify(RESULT) };
    this.send_({ type: "conversation.item.create", item });
    this.send_({ type: "response.create" });
  }
}

await run(OpenAICall);
