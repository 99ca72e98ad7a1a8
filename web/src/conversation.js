/**
 * The conversation as a value: reduce(state, event) -> state. No DOM, no socket, no clock.
 *
 * Events are the server's, as they came, and the page's own, whose types begin with `page.`.
 * A field the page shows lives here and nowhere else.
 */

/** @typedef {"idle" | "connecting" | "open"} Connection */
/** @typedef {"none" | "camera" | "board"} VideoSource */
/** @typedef {"live" | "done" | "cut" | "failed"} TurnStatus
 *   live: still growing; done: whole; cut: interrupted; failed: not to be had */

/**
 * One caption.
 * @typedef {object} Turn
 * @property {string} id the item's id on the wire
 * @property {"user" | "assistant"} role
 * @property {string} text
 * @property {TurnStatus} status
 * @property {number} receivedMs audio received of a reply
 * @property {number | null} heardMs how much of a reply was heard, once it was cut
 * @property {boolean} played the loudspeaker is done with it
 * @property {number | null} latencyMs from the end of speech to the reply's first sound
 * @property {string | null} response the response that a reply is of
 * @property {Waits | null} waits where the server's part of that time went
 * @property {Parts | null} parts the same by who had it, from a server that says
 */

/**
 * Milliseconds from the end of speech to the first sound sent, as `response.metrics` has them.
 * @typedef {{pause: number, speculation: number, rest: number, total: number}} Waits
 */

/**
 * Milliseconds from the last of the voice to the first sound sent, and, where the server plays, to its being played.
 * @typedef {{capture: number, pause: number, transit: number, queue: number, encode: number, prefill: number, decode: number,
 *   codec: number, held: number, playback: number | null, total: number}} Parts
 */

/**
 * @typedef {object} State
 * @property {Connection} connection
 * @property {"webrtc" | "websocket" | null} line by which way, in a call
 * @property {boolean} muted
 * @property {VideoSource} video
 * @property {boolean} recorded the server writes the conversation down, with consent
 * @property {boolean} hearing the server hears speech
 * @property {string | null} response id of the response being made
 * @property {string | null} speaking id of the reply that is sounding
 * @property {Turn[]} turns
 * @property {{kind: "info" | "error", text: string} | null} notice
 */

/** @typedef {import("./wire.js").WireEvent} WireEvent */
/** @typedef {(state: State, event: WireEvent) => State} Handler */

/** Bytes of base64 text in a millisecond of PCM16 at 24 kHz: 24 samples of 2 bytes, 4 characters for every 3 bytes. */
const BASE64_PER_MS = (24 * 2 * 4) / 3;

/** Nobody speaks faster than this, in milliseconds a character: while sound is still to come, it says how much. */
const MS_PER_CHARACTER = 50;

/** Errors that follow from two sides acting at once, and that nobody needs to read. */
const HARMLESS = new Set(["response_cancel_not_active", "input_audio_buffer_commit_empty"]);

/** @returns {State} before the first call */
export function initialState() {
  return {
    connection: "idle",
    line: null,
    muted: false,
    video: "camera",
    recorded: false,
    hearing: false,
    response: null,
    speaking: null,
    turns: [],
    notice: null,
  };
}

/**
 * @param {State} state is not changed
 * @param {WireEvent} event unknown types change nothing
 * @returns {State}
 */
export function reduce(state, event) {
  const handler = Object.hasOwn(HANDLERS, event.type) ? HANDLERS[event.type] : null;
  return handler ? handler(state, event) : state;
}

/**
 * @param {State} state
 * @returns {string} what is going on, in a word or two
 */
export function statusOf(state) {
  return state.recorded && state.connection === "open" ? `${describe(state)} · recorded` : describe(state);
}

/** @param {State} state */
function describe(state) {
  if (state.connection === "idle") return "Not in a call";
  if (state.connection === "connecting") return "Connecting…";
  const mood = moodOf(state);
  return mood === "quiet" && state.muted ? "Muted" : MOODS[mood];
}

/** What a person reads for each mood. */
const MOODS = { hearing: "Hearing you", speaking: "Speaking", answering: "Answering", thinking: "Thinking", quiet: "Listening" };

/**
 * @param {State} state
 * @returns {keyof typeof MOODS} what the model is doing; it thinks until the first words of its answer are there
 */
export function moodOf(state) {
  if (state.hearing) return "hearing";
  if (state.speaking) return "speaking";
  if (!state.response) return "quiet";
  return state.turns.some(({ response, text }) => response === state.response && text) ? "answering" : "thinking";
}

/** @type {Handler} */
function recordedOrNot(state, event) {
  return { ...state, recorded: event.session?.recording === true };
}

/**
 * Splits a cut reply where the person stopped hearing it, by proportion, at the end of a word.
 * @param {Turn} turn
 * @returns {[string, string]} heard, and not heard
 */
export function splitHeard(turn) {
  if (turn.heardMs === null) return [turn.text, ""];
  const wholeMs = Math.max(turn.receivedMs, MS_PER_CHARACTER * turn.text.length);
  const share = wholeMs > 0 ? Math.min(1, turn.heardMs / wholeMs) : 0;
  let at = Math.round(turn.text.length * share);
  while (at > 0 && at < turn.text.length && !/\s/.test(turn.text[at])) at--;
  return [turn.text.slice(0, at), turn.text.slice(at)];
}

/**
 * @param {string} id
 * @param {Turn["role"]} role
 * @returns {Turn}
 */
function newTurn(id, role) {
  const unknown = { heardMs: null, latencyMs: null, response: null, waits: null, parts: null };
  return { id, role, text: "", status: "live", receivedMs: 0, played: false, ...unknown };
}

/**
 * Changes one turn, adding it first where it is not known.
 * @param {State} state
 * @param {string} id
 * @param {Turn["role"]} role
 * @param {(turn: Turn) => Partial<Turn>} change
 * @returns {State}
 */
function withTurn(state, id, role, change) {
  const known = state.turns.some((turn) => turn.id === id);
  const turns = known ? state.turns : [...state.turns, newTurn(id, role)];
  return { ...state, turns: turns.map((turn) => (turn.id === id ? { ...turn, ...change(turn) } : turn)) };
}

/**
 * Changes one turn if it is known.
 * @param {State} state
 * @param {string} id
 * @param {(turn: Turn) => Partial<Turn>} change
 * @returns {State}
 */
function ifTurn(state, id, change) {
  return state.turns.some((turn) => turn.id === id) ? withTurn(state, id, "assistant", change) : state;
}

/** @type {Handler} */
const grow = (state, event) =>
  withTurn(state, event.item_id, "assistant", (turn) => ({ text: turn.text + event.delta }));

/** @type {Handler} */
const settle = (state, event) =>
  withTurn(state, event.item_id, "assistant", (turn) => ({ text: event.transcript ?? event.text ?? turn.text }));

/** @type {Handler} */
function addItem(state, { item }) {
  if (item?.type !== "message" || item.role === "system") return state;
  return withTurn(state, item.id, item.role, () => ({}));
}

/** @type {Handler} */
function responseDone(state, { response }) {
  const cut = response.status === "cancelled" || response.status === "incomplete";
  const status = cut ? "cut" : response.status === "failed" ? "failed" : "done";
  const items = new Set((response.output ?? []).map((/** @type {{id: string}} */ item) => item.id));
  const turns = state.turns.map((turn) =>
    items.has(turn.id) && turn.status === "live" ? { ...turn, status: /** @type {TurnStatus} */ (status) } : turn,
  );
  const why = response.status_details?.error?.message;
  const notice = status === "failed" ? error(`The answer failed${why ? `: ${why}` : "."}`) : state.notice;
  return { ...state, turns, notice, response: null };
}

/**
 * @param {string} text
 * @returns {State["notice"]}
 */
function error(text) {
  return { kind: "error", text };
}

/**
 * @param {Turn} turn live when the call ended
 * @returns {TurnStatus}
 */
function leftAs(turn) {
  return turn.role === "user" ? "done" : "cut";
}

/** @type {Handler} */
function closed(state, { reason }) {
  const turns = state.turns.map((turn) => (turn.status === "live" ? { ...turn, status: leftAs(turn) } : turn));
  const notice = reason ? error(reason) : null;
  return { ...state, turns, notice, connection: "idle", line: null, hearing: false, response: null, speaking: null };
}

/**
 * A person's words that never came: nothing to show.
 * @param {Turn[]} turns
 * @param {string} id
 */
const without = (turns, id) => turns.filter((turn) => turn.id !== id);

/** @type {Record<string, Handler>} */
const HANDLERS = {
  "input_audio_buffer.speech_started": (state, event) => ({
    ...withTurn(state, event.item_id, "user", () => ({})),
    hearing: true,
  }),
  "input_audio_buffer.speech_stopped": (state) => ({ ...state, hearing: false }),
  "input_audio_buffer.cleared": (state) => ({
    ...state,
    hearing: false,
    turns: state.turns.filter((turn) => turn.role !== "user" || turn.status !== "live"),
  }),
  "conversation.item.added": addItem,
  "conversation.item.deleted": (state, event) => ({ ...state, turns: without(state.turns, event.item_id) }),
  "conversation.item.input_audio_transcription.delta": (state, event) =>
    withTurn(state, event.item_id, "user", (turn) => ({ text: turn.text + event.delta })),
  "conversation.item.input_audio_transcription.completed": (state, event) =>
    withTurn(state, event.item_id, "user", () => ({ text: event.transcript.trim(), status: "done" })),
  "conversation.item.input_audio_transcription.failed": (state, event) =>
    withTurn(state, event.item_id, "user", () => ({ status: "failed" })),
  "response.created": (state, event) => ({ ...state, response: event.response.id }),
  "response.output_item.added": (state, event) =>
    ifTurn(addItem(state, event), event.item?.id, () => ({ response: event.response_id ?? null })),
  "response.output_audio_transcript.delta": grow,
  "response.output_audio_transcript.done": settle,
  "response.output_text.delta": grow,
  "response.output_text.done": settle,
  "response.output_audio.delta": (state, event) =>
    withTurn(state, event.item_id, "assistant", (turn) => ({
      receivedMs: turn.receivedMs + event.delta.length / BASE64_PER_MS,
    })),
  "response.done": responseDone,
  "response.metrics": (state, event) => ({
    ...state,
    turns: state.turns.map((turn) =>
      turn.response === event.response_id ? { ...turn, waits: event.wait_ms ?? null, parts: event.parts_ms ?? null } : turn,
    ),
  }),
  "session.created": recordedOrNot,
  "session.updated": recordedOrNot,
  error: (state, event) =>
    HARMLESS.has(event.error.code)
      ? state
      : { ...state, notice: error(`The server could not do that: ${event.error.message}`) },

  "page.connecting": (state) => ({ ...initialState(), video: state.video, connection: "connecting" }),
  "page.opened": (state, event) => ({ ...state, connection: "open", line: event.line }),
  "page.closed": closed,
  "page.muted": (state, event) => ({ ...state, muted: event.muted }),
  "page.video": (state, event) => ({ ...state, video: event.source }),
  "page.notice": (state, event) => ({ ...state, notice: { kind: event.kind, text: event.text } }),
  "page.dismissed": (state) => ({ ...state, notice: null }),
  "page.sound_started": (state, event) => ({
    ...ifTurn(state, event.item_id, () => ({ latencyMs: event.latency_ms })),
    speaking: event.item_id,
  }),
  "page.sound_finished": (state, event) => ({
    ...ifTurn(state, event.item_id, () => ({ played: true })),
    speaking: state.speaking === event.item_id ? null : state.speaking,
  }),
  "page.cut": (state, event) => ({
    ...ifTurn(state, event.item_id, () => ({ status: "cut", heardMs: event.heard_ms, played: true })),
    speaking: state.speaking === event.item_id ? null : state.speaking,
  }),
};
