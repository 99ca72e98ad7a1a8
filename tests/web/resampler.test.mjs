import assert from "node:assert/strict";
import { test } from "node:test";
import { Resampler } from "../../web/src/resampler.js";

const tone = (hz, rate, seconds) =>
  Float32Array.from({ length: Math.round(rate * seconds) }, (_, n) => 0.5 * Math.sin((2 * Math.PI * hz * n) / rate));

const join = (parts) => Float32Array.from(parts.flatMap((part) => [...part]));

const whole = (samples, from, to) => {
  const resampler = new Resampler(from, to);
  return join([resampler.push(samples), resampler.flush()]);
};

const rms = (samples) => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);

for (const [from, to] of [[48000, 24000], [24000, 48000], [44100, 24000], [24000, 44100], [16000, 24000]]) {
  test(`a tone at ${from} Hz is the same tone at ${to} Hz`, () => {
    const got = whole(tone(1000, from, 0.5), from, to);
    const wanted = tone(1000, to, 0.5);
    assert.equal(got.length, wanted.length);
    for (let n = 400; n < got.length - 400; n++) assert.ok(Math.abs(got[n] - wanted[n]) < 2e-3, `sample ${n}`);
  });

  test(`${from} Hz to ${to} Hz in any pieces is the same as in one`, () => {
    const samples = tone(700, from, 0.2);
    const resampler = new Resampler(from, to);
    const parts = [];
    for (let at = 0, size = 1; at < samples.length; at += size, size = (size * 7) % 331) {
      parts.push(resampler.push(samples.subarray(at, at + size)));
      size = Math.max(size, 1);
    }
    parts.push(resampler.flush());
    assert.deepEqual(join(parts), whole(samples, from, to));
  });
}

test("what the lower rate cannot hold is removed, not folded back", () => {
  const got = whole(tone(15000, 48000, 0.5), 48000, 24000);
  assert.ok(rms(got.subarray(500, -500)) < 0.5 * 10 ** (-60 / 20));
});

test("equal rates hand the samples through", () => {
  assert.deepEqual(whole(tone(440, 24000, 0.1), 24000, 24000), tone(440, 24000, 0.1));
});

test("a rate that is no rate is refused", () => {
  assert.throws(() => new Resampler(0, 24000), /sample rate 0/);
});
