import assert from "node:assert/strict";
import { test } from "node:test";
import { initialState, reduce, splitHeard, statusOf } from "../../web/src/conversation.js";

/** One second of silence as it comes over the wire. */
const SECOND = Buffer.alloc(48000).toString("base64");

const OPEN = [{ type: "page.connecting" }, { type: "page.opened" }];
const QUESTION = [
  { type: "input_audio_buffer.speech_started", item_id: "u1", audio_start_ms: 400 },
  { type: "input_audio_buffer.speech_stopped", item_id: "u1", audio_end_ms: 2000 },
  { type: "input_audio_buffer.committed", item_id: "u1", previous_item_id: null },
  { type: "conversation.item.added", item: { id: "u1", type: "message", role: "user", content: [] } },
];
const WORDS = {
  type: "conversation.item.input_audio_transcription.completed", item_id: "u1", transcript: " what colour is it ",
};
const ANSWER = [
  { type: "response.created", response: { id: "r1", status: "in_progress" } },
  { type: "response.output_item.added", response_id: "r1", item: { id: "a1", type: "message", role: "assistant" } },
  { type: "response.output_audio_transcript.delta", item_id: "a1", delta: "It is" },
  { type: "response.output_audio.delta", item_id: "a1", delta: SECOND },
  { type: "response.output_audio_transcript.delta", item_id: "a1", delta: " red." },
  { type: "response.output_audio.delta", item_id: "a1", delta: SECOND },
];
const DONE = { type: "response.done", response: { id: "r1", status: "completed", output: [{ id: "a1" }] } };

const after = (...events) => events.flat().reduce(reduce, initialState());
const captions = (state) => state.turns.map(({ role, text, status }) => `${role}: ${text} (${status})`);

test("a question and its answer become two captions", () => {
  const state = after(OPEN, QUESTION, ANSWER, WORDS, DONE);
  assert.deepEqual(captions(state), ["user: what colour is it (done)", "assistant: It is red. (done)"]);
  assert.ok(Math.abs(state.turns[1].receivedMs - 2000) < 1e-6);
});

test("the person's words come late and still stand before the answer", () => {
  assert.deepEqual(captions(after(OPEN, QUESTION, ANSWER, DONE, WORDS))[0], "user: what colour is it (done)");
});

test("what is going on, in a word, at each moment of a turn", () => {
  const sound = { type: "page.sound_started", item_id: "a1", latency_ms: 640 };
  const silence = { type: "page.sound_finished", item_id: "a1" };
  const [created, added, ...words] = ANSWER;
  const moments = [[], OPEN[0], OPEN[1], QUESTION[0], QUESTION.slice(1), [created, added], words, sound, DONE, silence];
  const told = moments.map((_, n) => statusOf(after(...moments.slice(0, n + 1))));
  assert.deepEqual(told, [
    "Not in a call", "Connecting…", "Listening", "Hearing you", "Listening", "Thinking", "Answering", "Speaking", "Speaking",
    "Listening",
  ]);
});

test("who is recorded can see it", () => {
  const recorded = { type: "session.updated", session: { recording: true } };
  assert.equal(statusOf(after(OPEN, [{ type: "session.created", session: {} }])), "Listening");
  assert.equal(statusOf(after(OPEN, [recorded])), "Listening · recorded");
  assert.equal(statusOf(after(OPEN, [recorded, { ...recorded, session: { recording: false } }])), "Listening");
});

test("the first sound's delay is kept with the answer", () => {
  const state = after(OPEN, QUESTION, ANSWER, { type: "page.sound_started", item_id: "a1", latency_ms: 640 });
  assert.equal(state.turns[1].latencyMs, 640);
});

test("an interrupted answer keeps what was heard apart from what was not", () => {
  const cancelled = {
    type: "response.done",
    response: { id: "r1", status: "cancelled", status_details: { reason: "turn_detected" }, output: [{ id: "a1" }] },
  };
  const state = after(OPEN, QUESTION, ANSWER, cancelled, { type: "page.cut", item_id: "a1", heard_ms: 1000 });
  assert.equal(state.turns[1].status, "cut");
  assert.deepEqual(splitHeard(state.turns[1]), ["It is", " red."]);
  assert.equal(state.speaking, null);
});

test("an answer of which nothing was heard is all unheard", () => {
  const state = after(OPEN, ANSWER, { type: "page.cut", item_id: "a1", heard_ms: 0 });
  assert.deepEqual(splitHeard(state.turns[0]), ["", "It is red."]);
});

test("words that came ahead of their sound do not count as heard", () => {
  const words = { type: "response.output_audio_transcript.delta", item_id: "a1", delta: "one two three four five six seven eight" };
  const sound = { type: "response.output_audio.delta", item_id: "a1", delta: SECOND };
  const state = after(OPEN, ANSWER.slice(0, 2), words, sound, { type: "page.cut", item_id: "a1", heard_ms: 1000 });
  assert.equal(splitHeard(state.turns[0])[0], "one two three four");
});

test("speech that came to nothing leaves no caption", () => {
  assert.deepEqual(after(OPEN, QUESTION[0], { type: "input_audio_buffer.cleared" }).turns, []);
});

test("an error is told in plain words, and one nobody needs is not", () => {
  const told = after(OPEN, { type: "error", error: { code: "invalid_value", message: "odd length 3" } });
  assert.deepEqual(told.notice, { kind: "error", text: "The server could not do that: odd length 3" });
  assert.equal(after(OPEN, { type: "error", error: { code: "response_cancel_not_active", message: "x" } }).notice, null);
});

test("a failed answer says why", () => {
  const response = { id: "r1", status: "failed", status_details: { error: { message: "out of memory" } }, output: [] };
  assert.match(after(OPEN, ANSWER, { type: "response.done", response }).notice.text, /out of memory/);
});

test("a lost connection ends every live caption and says so", () => {
  const state = after(OPEN, QUESTION, ANSWER, { type: "page.closed", reason: "The connection was lost." });
  assert.equal(state.connection, "idle");
  assert.equal(state.notice.text, "The connection was lost.");
  assert.ok(state.turns.every(({ status }) => status !== "live"));
});

test("a new call begins with a clean page and the same choice of picture", () => {
  const state = after(OPEN, { type: "page.video", source: "board" }, QUESTION, { type: "page.closed" }, OPEN[0]);
  assert.deepEqual([state.turns, state.video, state.connection], [[], "board", "connecting"]);
});

test("an event nobody knows changes nothing, even one named after an object's own parts", () => {
  const state = after(OPEN);
  for (const type of ["rate_limits.updated", "constructor", "toString"]) assert.equal(reduce(state, { type }), state);
});

test("a state is never changed in place", () => {
  const freeze = (value) => (typeof value === "object" && value !== null ? Object.values(value).forEach(freeze) : 0, Object.freeze(value));
  [...OPEN, ...QUESTION, ...ANSWER, WORDS, DONE].reduce((state, event) => freeze(reduce(state, freeze(event))), freeze(initialState()));
});

test("where the time went belongs to the reply of that response", () => {
  const item = { id: "a1", type: "message", role: "assistant" };
  const waits = { pause: 240, speculation: 360, rest: 40, total: 640 };
  const parts = { pause: 240, encode: 45, decode: 30, held: 325, total: 640 };
  const events = [
    { type: "response.output_item.added", response_id: "r1", item },
    { type: "response.output_item.added", response_id: "r2", item: { ...item, id: "a2" } },
    { type: "response.metrics", response_id: "r1", wait_ms: waits, parts_ms: parts },
    { type: "response.metrics", response_id: "r2", wait_ms: null },
  ];
  const { turns } = events.reduce(reduce, initialState());
  assert.deepEqual(
    turns.map((turn) => turn.waits),
    [waits, null],
  );
  assert.deepEqual(
    turns.map((turn) => turn.parts),
    [parts, null],
    "the second is of a server that does not say",
  );
});
