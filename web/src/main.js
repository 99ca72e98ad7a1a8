/** Wires the page: buttons to the call, the call's events to the state, the state to the view. */

import { Board } from "./board.js";
import { Call } from "./call.js";
import { initialState, reduce } from "./conversation.js";
import { Meter } from "./playback.js";
import { element, View } from "./view.js";

/** @typedef {import("./wire.js").WireEvent} WireEvent */

const view = new View();
const board = new Board(/** @type {HTMLCanvasElement} */ (element("board")));
const meter = new Meter();
let state = initialState();
/** @type {Call | null} */
let call = null;

/** @param {WireEvent} event */
function dispatch(event) {
  state = reduce(state, event);
  if (event.type === "page.closed") {
    call = null;
    view.microphone(0);
    view.speaker(0);
  }
  view.render(state);
}

/** What tests read: counts of what was sent, small events whole. */
const sent = { audio: 0, images: 0, events: /** @type {WireEvent[]} */ ([]) };

/** @param {WireEvent} event */
function onsent(event) {
  if (event.type === "input_audio_buffer.append") sent.audio++;
  else if (event.type === "input_image_buffer.append") sent.images++;
  else sent.events.push(event);
}

function startCall() {
  call = new Call({
    dispatch,
    camera: /** @type {HTMLVideoElement} */ (element("camera")),
    board: board.canvas,
    meter,
    onmicrophone: (level) => view.microphone(state.muted ? 0 : level),
    onspeaker: (level) => view.speaker(level),
    onsent,
  });
  const recording = /** @type {HTMLInputElement} */ (element("record")).checked;
  void call.start(state.video, recording, /** @type {HTMLSelectElement} */ (element("voice")).value);
}

element("call").addEventListener("click", () => (call ? call.end() : startCall()));
element("mute").addEventListener("click", () => call?.mute(!state.muted));
element("stop").addEventListener("click", () => call?.stopAnswer());
element("notice-close").addEventListener("click", () => dispatch({ type: "page.dismissed" }));
addEventListener("pagehide", () => call?.end());

for (const source of /** @type {const} */ (["camera", "board", "none"])) {
  element(`video-${source}`).addEventListener("change", () =>
    call ? void call.show(source) : dispatch({ type: "page.video", source }),
  );
}
for (const tool of /** @type {const} */ (["pen", "circle", "square", "triangle"])) {
  element(`tool-${tool}`).addEventListener("change", () => (board.tool = tool));
}
for (const input of document.querySelectorAll("#colours input")) {
  input.addEventListener("change", () => (board.colour = /** @type {HTMLInputElement} */ (input).value));
}
element("undo").addEventListener("click", () => board.undo());
element("clear").addEventListener("click", () => board.clear());

void fetch("v1/models")
  .then((answer) => answer.json())
  .then(({ data }) => view.voices(data[0].voices))
  .catch(() => {}); // a server that tells nothing has one voice

element("consent").hidden = !location.search.includes("record");
view.render(state);

/** A handle for tests and for the curious at the console. `meter.recording = true` before a call keeps its sound. */
Object.assign(window, {
  vivavoce: {
    get state() {
      return state;
    },
    meter,
    sent,
    board,
  },
});
