import assert from "node:assert/strict";
import { test } from "node:test";
import * as wire from "../../web/src/wire.js";

test("base64 is the one everybody else writes", () => {
  const bytes = Uint8Array.from({ length: 20000 }, (_, n) => (n * 37) % 256);
  assert.equal(wire.toBase64(bytes), Buffer.from(bytes).toString("base64"));
  assert.deepEqual(wire.fromBase64(wire.toBase64(bytes)), bytes);
});

test("PCM16 is little-endian on any machine", () => {
  const samples = Int16Array.of(0, 1, -2, 32767, -32768);
  assert.deepEqual([...wire.pcmToBytes(samples)], [0, 0, 1, 0, 0xfe, 0xff, 0xff, 0x7f, 0, 0x80]);
  assert.deepEqual(wire.bytesToPcm(wire.pcmToBytes(samples)), samples);
});

test("audio goes out and comes back in the same words", () => {
  const samples = Int16Array.from({ length: 960 }, (_, n) => n - 480);
  const { type, audio } = wire.audioAppend(samples);
  assert.equal(type, "input_audio_buffer.append");
  assert.deepEqual(wire.audioOf({ type: "response.output_audio.delta", delta: audio }), samples);
});

test("the session asks for speech and for captions of the person", () => {
  const { session } = wire.sessionUpdate();
  assert.equal(session.type, "realtime");
  assert.deepEqual(session.output_modalities, ["audio"]);
  assert.deepEqual(session.audio.input.transcription, { model: "kitten" });
  assert.deepEqual(session.audio.output.format, { type: "audio/pcm", rate: 24000 });
});

test("the session asks for a voice where one was chosen", () => {
  assert.equal(wire.sessionUpdate("hugo").session.audio.output.voice, "hugo");
  assert.ok(!("voice" in wire.sessionUpdate().session.audio.output));
});

test("a picture carries its place in the audio, in whole milliseconds", () => {
  assert.deepEqual(wire.imageAppend("/9j/", 1240.4, "camera"), {
    type: "input_image_buffer.append", image: "/9j/", timestamp_ms: 1240, source: "camera",
  });
});

test("a truncation never claims more than was heard", () => {
  assert.deepEqual(wire.truncate("item_1", 1499.99), {
    type: "conversation.item.truncate", item_id: "item_1", content_index: 0, audio_end_ms: 1499,
  });
});

for (const [name, bad] of [["not JSON", "{"], ["a list", "[]"], ["null", "null"], ["no type", "{\"a\":1}"], ["binary", new ArrayBuffer(2)]]) {
  test(`${name} is refused`, () => assert.throws(() => wire.parse(bad), wire.WireError));
}

test("odd PCM, bad base64 and a missing delta are refused", () => {
  assert.throws(() => wire.bytesToPcm(new Uint8Array(3)), /3 bytes/);
  assert.throws(() => wire.fromBase64("*"), /not base64/);
  assert.throws(() => wire.audioOf({ type: "response.output_audio.delta" }), /without delta/);
});
