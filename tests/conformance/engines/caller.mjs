// A caller from Node, on one of two engines. Neither encodes, so media.py has done that.
//
//   node caller.mjs ENGINE talk URL FOLDER CODEC    a question and its answer
//   node caller.mjs ENGINE greet URL ENDING         a call that is greeted, then ends: hangup, close, or vanish
//
// Prints one line of JSON: what was heard.

import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { PICTURES, SOUND, Stream } from "./rtp.mjs";

const SEEN_MS = 1_000; // how long the camera runs before the question
const PATIENCE_MS = 30_000;

/** One call. */
class Caller {
  events = [];
  packets = [];
  lost = 0;
  #awaited = new Map();

  constructor(Engine, url, codec = null) {
    this.url = url;
    this.engine = new Engine(codec, {
      hears: (payload) => this.packets.push(Buffer.from(payload).toString("base64")),
      reads: (text) => this.#note(JSON.parse(text)),
      loses: () => this.lost++,
      ends: () => this.#note({ type: "the end" }),
    });
  }

  async dial() {
    const answer = await post(this.url, await this.engine.offer());
    if (answer.status !== 201) throw new Error(await answer.text());
    this.location = new URL(answer.headers.get("location"), this.url);
    await this.engine.accept(await answer.text());
  }

  /** Returns once an event of this type has come. */
  async expect(type) {
    if (this.events.some((event) => event.type === type)) return;
    const patience = new AbortController();
    await Promise.race([
      new Promise((resolve) => this.#awaited.set(type, resolve)),
      sleep(PATIENCE_MS, null, patience).then(() => {
        throw new Error(`no ${type} within ${PATIENCE_MS} ms, only ${this.events.map((event) => event.type)}`);
      }),
    ]);
    patience.abort();
  }

  #note(event) {
    this.events.push(event);
    this.#awaited.get(event.type)?.();
  }
}

const post = (url, body) => fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp" }, body });

const decoded = (payloads) => payloads.map((payload) => Buffer.from(payload, "base64"));

/** Calls `tick` with 0, 1, 2 ... every `ms` of the clock, until the returned function is called. */
function every(ms, tick) {
  const began = performance.now();
  let number = 0;
  const timer = setInterval(() => {
    while (began + number * ms <= performance.now()) tick(number++);
  }, ms / 4);
  return () => clearInterval(timer);
}

/** The question, once; quiet before it and for ever after. */
function say(caller, { sound, quiet }) {
  const [spoken, silence] = [decoded(sound), decoded([quiet])[0]];
  const stream = new Stream(SOUND);
  return every(20, (number) => {
    const payload = spoken[number - SEEN_MS / 20] ?? silence;
    for (const packet of stream.packets([payload], number * 960, false)) caller.engine.say(packet);
  });
}

/** The picture, 15 times a second; a key frame at the beginning and when it is asked for, at no other time. */
function show(caller, pictures) {
  const frames = pictures.map(decoded);
  const stream = new Stream(PICTURES);
  let [next, answered] = [0, caller.lost];
  return every(1000 / 15, (number) => {
    if (answered !== caller.lost) [next, answered] = [0, caller.lost];
    for (const packet of stream.packets(frames[next], number * 6000, true)) caller.engine.show(packet);
    next = Math.min(next + 1, frames.length - 1);
  });
}

async function talk(Engine, url, folder, codec) {
  const { pictures, ...sound } = JSON.parse(readFileSync(join(folder, "payloads.json")));
  const caller = new Caller(Engine, url, codec);
  await caller.dial();
  await caller.expect("session.created");
  const stops = [say(caller, sound), show(caller, pictures[codec])];
  await caller.expect("output_audio_buffer.stopped");
  stops.forEach((stop) => stop());
  const { events, packets, lost } = caller;
  await caller.engine.close();
  return { events, packets, lost };
}

async function greet(Engine, url, ending) {
  const caller = new Caller(Engine, url);
  await caller.dial();
  await caller.expect("session.created");
  const heard = { events: caller.events };
  if (ending === "vanish") {
    print(heard);
    process.kill(process.pid, "SIGKILL");
  }
  if (ending === "hangup") {
    await post(`${caller.location}/hangup`, "");
    await caller.expect("the end");
  }
  await caller.engine.close();
  return heard;
}

const print = (heard) => writeSync(1, `${JSON.stringify(heard)}\n`);

const [engine, what, url, ...rest] = process.argv.slice(2);
const { Engine } = await import(`./${engine}.mjs`);
print(await (what === "talk" ? talk : greet)(Engine, url, ...rest));
process.exit();
