/** The page as a function of the state. Reads nothing back from the DOM. */

import { moodOf, splitHeard, statusOf } from "./conversation.js";

/** @typedef {import("./conversation.js").State} State */
/** @typedef {import("./conversation.js").Turn} Turn */

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Root mean square to a share of the meter: -54 dBFS is empty, -6 dBFS is full. @param {number} level */
function meterShare(level) {
  return Math.max(0, Math.min(1, (20 * Math.log10(level + 1e-6) + 54) / 48));
}

/** What stands where there are no words. @param {Turn} turn */
function placeholder({ role, status }) {
  if (status === "failed") return role === "user" ? "(could not be written down)" : "(no answer)";
  if (status === "live") return "…";
  return role === "user" ? "(nothing understood)" : "(nothing said)";
}

/** The small print under a caption. @param {Turn} turn */
function footnote({ latencyMs, status, heardMs }) {
  const notes = [];
  if (latencyMs !== null) notes.push(`answered in ${(Math.max(0, latencyMs) / 1000).toFixed(2)} s`);
  if (status === "cut" && heardMs === null) notes.push("cut short");
  else if (status === "cut") notes.push(`interrupted after ${(Number(heardMs) / 1000).toFixed(1)} s`);
  return notes.join(" · ");
}

/** What each part is, in the order in which they happen. @type {[keyof import("./conversation.js").Parts, string][]} */
const PARTS = [
  ["capture", "late on the way here"],
  ["pause", "of silence before it began to answer"],
  ["transit", "until the model began"],
  ["queue", "of waiting for others"],
  ["encode", "of hearing and looking"],
  ["prefill", "of taking it in"],
  ["decode", "of thinking of words and sounds"],
  ["codec", "of making sound of them"],
  ["held", "until it was sure that you were done; it was answering already, unheard"],
  ["playback", "until it was played"],
];

/** @typedef {[string, number, string][]} Pieces name, milliseconds, what it is */

/** @param {Turn} turn @returns {Pieces} the server's part of the wait, as closely as the server says */
function serverPieces({ waits, parts }) {
  if (parts) return PARTS.map(([name, what]) => [name, parts[name] ?? 0, what]);
  if (!waits) return [];
  return [
    ["pause", waits.pause, "of silence before it began to answer"],
    ["speculation", waits.speculation, "more until it was sure; it was answering already, unheard"],
    ["rest", waits.rest, "until the first sound was sent"],
  ];
}

/**
 * Where the time until the first sound went, from left to right; opened, the same in words.
 * @param {Turn} turn
 * @param {boolean} open
 */
function waterfall(turn, open) {
  const { waits, parts: measured, latencyMs } = turn;
  const total = (measured ?? waits)?.total;
  if (total === undefined || latencyMs === null) return "";
  /** @type {Pieces} */
  const way = [["way", Math.max(0, Math.round(latencyMs - total)), "on the way to your ear"]];
  const parts = [...serverPieces(turn), ...way].filter(([name, ms]) => ms > 0 || !measured || name === "way");
  const bar = part("summary", "waits", ...parts.map(([name, ms]) => piece(name, ms)));
  bar.title = parts.map(([, ms, what]) => `${ms} ms ${what}`).join("\n");
  bar.setAttribute("aria-label", bar.title);
  const lines = parts.map(([name, ms, what]) => part("li", "", part("i", name), `${ms} ms ${what}`));
  const box = /** @type {HTMLDetailsElement} */ (part("details", "where", bar, part("ul", "", ...lines)));
  box.open = open;
  return box;
}

/** @param {string} name @param {number} ms */
function piece(name, ms) {
  const node = part("span", name);
  node.style.flexGrow = String(ms);
  return node;
}

export class View {
  constructor() {
    this.captions = element("captions");
    /** Captions on the page, with the turn each shows. @type {Map<string, {node: HTMLElement, turn: Turn}>} */
    this.shown = new Map();
  }

  /** @param {State} state */
  render(state) {
    const { body } = document;
    body.dataset.connection = state.connection;
    body.dataset.video = state.video;
    body.dataset.mood = moodOf(state);
    element("status").textContent = statusOf(state);
    this.#notice(state);
    this.#buttons(state);
    this.#turns(state.turns);
  }

  /** @param {string[]} names whom one may choose among, the usual one first */
  voices(names) {
    element("voice").replaceChildren(...names.map((name) => new Option(name[0].toUpperCase() + name.slice(1), name)));
    element("voices").hidden = names.length < 2;
  }

  /** @param {number} level root mean square of the microphone, 0 to 1 */
  microphone(level) {
    const share = meterShare(level);
    document.body.style.setProperty("--microphone", share.toFixed(3));
    element("meter").setAttribute("aria-valuenow", String(Math.round(100 * share)));
  }

  /** @param {number} level root mean square of the loudspeaker, 0 to 1 */
  speaker(level) {
    document.body.style.setProperty("--speaker", meterShare(level).toFixed(3));
  }

  /** @param {State} state */
  #notice({ notice }) {
    const box = element("notice");
    box.hidden = notice === null;
    box.dataset.kind = notice?.kind ?? "";
    const text = element("notice-text");
    if (text.textContent !== (notice?.text ?? "")) text.textContent = notice?.text ?? "";
  }

  /** @param {State} state */
  #buttons(state) {
    const idle = state.connection === "idle";
    element("call-label").textContent = idle ? "Start" : "Hang up";
    element("mute-label").textContent = state.muted ? "Unmute" : "Mute";
    element("mute").setAttribute("aria-pressed", String(state.muted));
    /** @type {HTMLButtonElement} */ (element("mute")).disabled = state.connection !== "open";
    /** @type {HTMLSelectElement} */ (element("voice")).disabled = !idle;
    /** @type {HTMLButtonElement} */ (element("stop")).disabled = !state.speaking;
    for (const source of ["camera", "board", "none"]) {
      /** @type {HTMLInputElement} */ (element(`video-${source}`)).checked = state.video === source;
    }
  }

  /** @param {Turn[]} turns */
  #turns(turns) {
    const ids = new Set(turns.map(({ id }) => id));
    for (const [id, { node }] of this.shown) {
      if (ids.has(id)) continue;
      node.remove();
      this.shown.delete(id);
    }
    const { captions } = this;
    const atEnd = captions.scrollHeight - captions.scrollTop - captions.clientHeight < 80;
    let changed = false;
    for (const turn of turns) changed = this.#turn(turn) || changed;
    element("hints").hidden = turns.length > 0;
    if (changed && atEnd) captions.scrollTop = captions.scrollHeight;
  }

  /**
   * @param {Turn} turn
   * @returns {boolean} whether anything changed
   */
  #turn(turn) {
    const known = this.shown.get(turn.id);
    if (known?.turn === turn) return false;
    const node = known?.node ?? this.captions.appendChild(document.createElement("li"));
    this.shown.set(turn.id, { node, turn });
    node.className = `turn ${turn.role} ${turn.status}${turn.text ? "" : " wordless"}`;
    const [heard, unheard] = splitHeard(turn);
    const open = node.querySelector("details")?.open ?? false;
    node.replaceChildren(
      part("span", "who", turn.role === "user" ? "You" : "Vivavoce"),
      part("p", "words", turn.text ? heard : placeholder(turn), unheard ? part("s", "unheard", unheard) : ""),
      part("small", "note", footnote(turn)),
      waterfall(turn, open),
    );
    return true;
  }
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
function part(tag, className, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...children);
  return node;
}
