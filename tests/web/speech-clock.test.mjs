import assert from "node:assert/strict";
import { test } from "node:test";
import { SpeechClock } from "../../web/src/speech-clock.js";

/** Sends packets of 40 ms, the n-th recorded at 10,000 + 40 n, as loud as the levels say. */
function clockAfter(levels) {
  const clock = new SpeechClock();
  levels.forEach((level, n) => clock.sent(40, level, 10_000 + 40 * (n + 1)));
  return clock;
}

const speech = new Array(25).fill(0.1);
const pause = new Array(20).fill(0.001);

test("speech ended with its last loud packet, not when the silence had been waited for", () => {
  assert.equal(clockAfter([...speech, ...pause]).endOfSpeech(1600), 11_000);
});

test("a sound after the server's mark does not count", () => {
  assert.equal(clockAfter([...speech, ...pause, 0.1]).endOfSpeech(1600), 11_000);
});

test("where all is quiet the server's mark is taken", () => {
  assert.equal(clockAfter(new Array(30).fill(0.001)).endOfSpeech(1000), 11_040);
});

test("a clock that heard nothing does not guess", () => {
  assert.equal(new SpeechClock().endOfSpeech(1000), null);
});

test("only the last quarter of a minute is remembered", () => {
  const clock = clockAfter(new Array(2000).fill(0.1));
  assert.ok(clock.packets.length <= 376, `${clock.packets.length} packets`);
  assert.equal(clock.sentMs, 80_000);
});
