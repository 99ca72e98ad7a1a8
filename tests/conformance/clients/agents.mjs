// @openai/agents-realtime over a WebSocket, in Node and in a browser: the library keeps the history, calls the tool and
// says how much of an interrupted answer was heard; the application has the microphone and the loudspeaker.

import { Call, DESCRIPTION, RESULT, SCHEMA, Sound, TOOL } from "./scenario.mjs";

/** `library` is the module, or the global of its bundle for browsers. */
export const agentsCall = (library) =>
  class AgentsCall extends Call {
    get transport() {
      return "websocket";
    }

    get url() {
      return `ws://${this.place}/v1/realtime?model=kitten`;
    }

    async open() {
      const tool = library.tool({
        name: TOOL,
        description: DESCRIPTION,
        parameters: SCHEMA,
        strict: true,
        execute: (input) => this.call(input),
      });
      const agent = new library.RealtimeAgent({ name: "kitten", instructions: "", tools: this.hasTool ? [tool] : [] });
      const config = this.hasTool ? { toolChoice: { type: "function", name: TOOL } } : {};
      this.session = new library.RealtimeSession(agent, { transport: this.transport, config });
      this.watch();
      await this.session.connect({ url: this.url, apiKey: await this.key() });
    }

    /** A client secret, as an application's own server asks for one: browsers take no other key. */
    async key() {
      const response = await fetch(`http://${this.place}/v1/realtime/client_secrets`, { method: "POST" });
      return (await response.json()).value;
    }

    async close() {
      this.session.close();
    }

    watch() {
      const { session } = this;
      session.on("error", (error) => this.complain(error));
      session.on("audio", ({ data, responseId }) => this.play(new Uint8Array(data), responseId));
      session.on("audio_interrupted", () => this.sounds.at(-1)?.stop());
      session.on("history_updated", (history) => this.remember(history));
      session.on("agent_end", (_context, _agent, text) => text && this.answers.push(text));
      session.on("agent_tool_end", (_context, _agent, _tool, result) => this.results.push(result));
      session.transport.on("*", (event) => this.hear(event));
    }

    send(packet) {
      this.session.sendAudio(packet.buffer);
    }

    show(picture) {
      this.session.addImage(picture, { triggerResponse: false });
    }

    play(bytes, responseId) {
      if (responseId !== this.playing) this.sounds.push(new Sound());
      this.playing = responseId;
      this.sounds.at(-1).push(bytes);
    }

    call(input) {
      this.calls.push({ name: TOOL, arguments: JSON.stringify(input) });
      this.session.transport.updateSessionConfig({ toolChoice: "auto" });
      return RESULT;
    }

    /** Every event, and whether the library could read it: one that it cannot is passed on here and nowhere else. */
    hear(event) {
      this.count(event.type);
      this.notice(event);
      if (event.type === "error" || isPicture(event)) return; // pictures are not in its history
      this.unread = event;
      this.session.transport.once(event.type, () => (this.unread = undefined));
      queueMicrotask(() => this.unread === event && this.complain(`ignored: ${JSON.stringify(event)}`));
    }

    notice(event) {
      if (event.type === "conversation.item.truncated") this.cut = event;
    }

    remember(history) {
      const words = (item) => item.content?.map((part) => part.transcript ?? part.text ?? "").join("") ?? "";
      const said = (role) => history.filter((item) => item.role === role);
      this.questions = said("user").map(words).filter(Boolean);
      const cut = history.find((item) => this.cut && item.itemId === this.cut.item_id);
      if (cut) this.cuts = [{ audio_end_ms: this.cut.audio_end_ms, kept: words(cut) }];
    }
  };

const isPicture = (event) => event.item?.content?.some?.((part) => part.type === "input_image");
