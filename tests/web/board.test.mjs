import assert from "node:assert/strict";
import { test } from "node:test";
import { pointIn } from "../../web/src/board.js";

const canvas = { width: 640, height: 480 };

test("a touch on a board of its own proportions is where it looks", () => {
  const box = { left: 100, top: 50, width: 320, height: 240 };
  assert.deepEqual(pointIn(box, canvas, { clientX: 100, clientY: 50 }), [0, 0]);
  assert.deepEqual(pointIn(box, canvas, { clientX: 260, clientY: 230 }), [320, 360]);
});

test("a board in a wide box, as on a phone, stands in its middle", () => {
  const box = { left: 0, top: 0, width: 400, height: 240 };
  assert.deepEqual(pointIn(box, canvas, { clientX: 40, clientY: 0 }), [0, 0]);
  assert.deepEqual(pointIn(box, canvas, { clientX: 360, clientY: 240 }), [640, 480]);
});
