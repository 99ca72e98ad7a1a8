import assert from "node:assert/strict";
import { test } from "node:test";
import { JitterBuffer } from "../../web/src/jitter-buffer.js";

const LIMITS = { start: 100, step: 50, most: 200, fade: 4 };
const ones = (n, value = 1) => new Float32Array(n).fill(value);

/** Pulls one block and returns what sounded and what happened. */
function pull(buffer, n = 64) {
  const out = new Float32Array(n).fill(9);
  const signs = buffer.pull(out);
  return { out, told: signs.map(({ type, id }) => `${type} ${id}`), signs };
}

test("an empty buffer is silence", () => {
  const { out, told } = pull(new JitterBuffer(LIMITS));
  assert.deepEqual(out, ones(64, 0));
  assert.deepEqual(told, []);
});

test("a reply waits for the network, then sounds", () => {
  const buffer = new JitterBuffer(LIMITS);
  buffer.push("a", ones(99));
  assert.deepEqual(pull(buffer).told, []);
  buffer.push("a", ones(1));
  const { out, told } = pull(buffer);
  assert.deepEqual(told, ["started a"]);
  assert.deepEqual(out, ones(64));
});

test("a reply shorter than the wait sounds as soon as it is whole", () => {
  const buffer = new JitterBuffer(LIMITS);
  buffer.push("a", ones(10));
  buffer.end("a");
  const { out, told, signs } = pull(buffer);
  assert.deepEqual(told, ["started a", "finished a"]);
  assert.equal(signs[1].offset, 10);
  assert.deepEqual(out.subarray(10), ones(54, 0));
});

test("two replies follow each other without a gap", () => {
  const buffer = new JitterBuffer(LIMITS);
  buffer.push("a", ones(30, 0.25));
  buffer.end("a");
  buffer.push("b", ones(100, 0.5));
  const { out, told } = pull(buffer);
  assert.deepEqual(told, ["started a", "finished a", "started b"]);
  assert.equal(out[29], 0.25);
  assert.equal(out[30], 0.5);
});

test("a reply that runs dry waits longer the next time, up to the limit", () => {
  const buffer = new JitterBuffer(LIMITS);
  buffer.push("a", ones(100));
  pull(buffer);
  assert.deepEqual(pull(buffer).told, ["starved a"]);
  assert.equal(buffer.target, 150);
  buffer.push("a", ones(149));
  assert.deepEqual(pull(buffer).out, ones(64, 0));
  buffer.push("a", ones(1));
  assert.deepEqual(pull(buffer).told, [], "going on is not starting");
  for (let n = 0; n < 9; n++) buffer.push("a", ones(300)), pull(buffer, 1000);
  assert.equal(buffer.target, 200);
});

test("a flush is silence within the fade, and says what was heard", () => {
  const buffer = new JitterBuffer(LIMITS);
  buffer.push("a", ones(500));
  buffer.push("b", ones(500));
  pull(buffer);
  assert.deepEqual(buffer.flush(), [
    { id: "a", played: 68, received: 500 },
    { id: "b", played: 0, received: 500 },
  ]);
  const { out } = pull(buffer);
  assert.deepEqual([...out.subarray(0, 4)], [0.75, 0.5, 0.25, 0]);
  assert.deepEqual(out.subarray(4), ones(60, 0));
});

test("what arrives of a flushed reply is dropped; the next reply is not", () => {
  const buffer = new JitterBuffer(LIMITS);
  buffer.push("a", ones(500));
  pull(buffer);
  buffer.flush();
  buffer.push("a", ones(500));
  buffer.end("a");
  assert.equal(buffer.waiting, 0);
  buffer.push("b", ones(100));
  assert.deepEqual(pull(buffer).told, ["started b"]);
});

test("every sample pushed is played once, in order, however it was cut up", () => {
  const buffer = new JitterBuffer(LIMITS);
  const ramp = Float32Array.from({ length: 3000 }, (_, n) => n + 1);
  for (let at = 0, size = 3; at < 3000; at += size, size = ((size * 5) % 97) + 1) buffer.push("a", ramp.slice(at, at + size));
  buffer.end("a");
  const heard = [];
  for (let n = 0; n < 100; n++) heard.push(...pull(buffer, 37).out);
  assert.deepEqual(heard.slice(0, 3000), [...ramp]);
  assert.ok(heard.slice(3000).every((sample) => sample === 0));
});
