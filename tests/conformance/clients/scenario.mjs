// What every JavaScript client does, whatever library it is made with: four calls, and one JSON object about them.
// The twin of scenario.py; runs in Node and in a browser.

export const RATE = 24_000;
const PACKET = (RATE / 50) * 2; // bytes of 20 ms
const PATIENCE_MS = 20_000;
const FRAME_MS = 500;
const INTERRUPT_MS = 700; // so much of an answer is heard out before it is interrupted

export const TOOL = "weather";
export const DESCRIPTION = "The weather of a city.";
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string", enum: ["Rome", "Paris"] }, days: { type: "integer", enum: [1, 2, 3] } },
  required: ["city", "days"],
  additionalProperties: false,
};
export const RESULT = "sunny";

/** An answer as it is played in real time by a loudspeaker that can be stopped. */
export class Sound {
  pieces = [];
  bytes = 0;
  began = performance.now();
  stoppedMs = null;

  get lengthMs() {
    return this.bytes / 2 / (RATE / 1000);
  }

  get playedMs() {
    return this.stoppedMs ?? Math.min(this.lengthMs, performance.now() - this.began);
  }

  push(bytes) {
    this.pieces.push(bytes);
    this.bytes += bytes.length;
  }

  stop() {
    this.stoppedMs ??= Math.round(this.playedMs);
  }

  /** RMS, 1 for the loudest square wave. */
  get loudness() {
    let sum = 0;
    for (const piece of this.pieces) {
      for (const sample of new Int16Array(piece.slice().buffer)) sum += sample * sample;
    }
    return Math.sqrt(sum / Math.max(1, this.bytes / 2)) / 32_768;
  }
}

/** One call; subclasses open it, and note in its lists what their library tells them. */
export class Call {
  constructor(place, media, capability, report) {
    Object.assign(this, { place, media, capability, report });
    this.questions = [];
    this.answers = []; // transcripts, each when its answer has ended
    this.sounds = [];
    this.cuts = []; // of interrupted answers: audio_end_ms, and kept, the words that stay
    this.calls = [];
    this.results = [];
    this.waiting = new Uint8Array(0);
    this.timers = [];
  }

  get hasTool() {
    return this.capability === "tool_call";
  }

  count(type) {
    this.report.events[type] = (this.report.events[type] ?? 0) + 1;
  }

  complain(error) {
    this.report.errors.push(describe(error));
  }

  say(name) {
    const bytes = this.media[name];
    const whole = new Uint8Array(this.waiting.length + bytes.length);
    whole.set(this.waiting);
    whole.set(bytes, this.waiting.length);
    this.waiting = whole;
  }

  /** The microphone is open all the time, as a person's is; the camera when it is asked about. */
  openSenses() {
    const began = performance.now();
    let sent = 0;
    const speak = () => {
      for (; sent * 20 <= performance.now() - began; sent++) {
        const packet = new Uint8Array(PACKET);
        packet.set(this.waiting.subarray(0, PACKET));
        this.waiting = this.waiting.subarray(PACKET);
        this.send(packet);
      }
    };
    this.timers.push(setInterval(speak, 10));
    if (this.capability === "camera") {
      this.show(this.media.scene);
      this.timers.push(setInterval(() => this.show(this.media.scene), FRAME_MS));
    }
  }

  closeSenses() {
    this.timers.forEach(clearInterval);
  }

  async until(what, condition) {
    const end = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (performance.now() > end) throw new Error(`not within ${PATIENCE_MS} ms: ${what}; ${this.told()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  told() {
    const { questions, answers, cuts, calls, results } = this;
    return JSON.stringify({ questions, answers, cuts, calls, results, events: this.report.events });
  }
}

async function heardOut(call) {
  await call.until("an answer", () => call.answers.length && call.questions.length);
  await call.until("its end", () => call.sounds.length && !call.isPlaying);
  const [sound] = call.sounds;
  const told = { question: call.questions[0], answer: call.answers[0] };
  return { ...told, seconds: sound.lengthMs / 1000, loudness: sound.loudness };
}

const CAPABILITIES = {
  async spoken(call) {
    call.say("who");
    return heardOut(call);
  },
  async barge_in(call) {
    call.say("colour");
    await call.until("sound", () => call.sounds[0]?.playedMs > INTERRUPT_MS);
    call.say("who");
    await call.until("the end of the first answer", () => call.cuts[0]?.kept !== undefined);
    await call.until("the second answer", () => call.answers.length > 1 && call.questions.length > 1);
    await call.until("its end", () => call.sounds.length > 1 && !call.isPlaying);
    const [first, second] = call.sounds;
    const told = { questions: call.questions, answers: call.answers, ...call.cuts[0] };
    return { ...told, played_ms: first.playedMs, tail_ms: first.tailMs, second_ms: second.lengthMs };
  },
  async tool_call(call) {
    call.say("who");
    await call.until("a call", () => call.calls.length);
    await call.until("the result to be taken", () => call.results.length);
    await call.until("an answer", () => call.answers.length);
    return { ...call.calls[0], calls: call.calls.length, result: call.results[0], answer: call.answers.at(-1) };
  },
  async camera(call) {
    call.say("colour");
    return heardOut(call);
  },
};

/** All four; `makeCall(capability, report)` gives a Call. */
export async function converse(makeCall) {
  const report = { events: {}, errors: [] };
  for (const [capability, act] of Object.entries(CAPABILITIES)) {
    const call = makeCall(capability, report);
    try {
      await call.open();
      call.openSenses();
      report[capability] = await act(call);
    } catch (error) {
      report[capability] = { failed: describe(error) };
    }
    call.closeSenses();
    await call.close();
  }
  return report;
}

export function describe(error) {
  if (error instanceof Error) return error.stack ?? String(error);
  if (error?.error !== undefined) return `${error.type}: ${describe(error.error)}`;
  return typeof error === "string" ? error : JSON.stringify(error) ?? String(error);
}
