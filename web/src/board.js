/** The drawing board: something to show when there is no camera. Marks are data; the canvas is drawn from them. */

/** @typedef {"pen" | "circle" | "square" | "triangle"} Tool */
/** @typedef {[number, number]} Point in canvas pixels */
/** @typedef {{tool: Tool, colour: string, points: Point[]}} Mark a pen's path, or two corners of a shape */

const PAPER = "#ffffff";
const PEN_WIDTH = 14;

/** Half the side of a shape that was tapped rather than drawn, in pixels. */
const TAPPED = 90;

/** A drag shorter than this is a tap. */
const STEADY = 12;

/** Where shapes put down by keyboard go, in turn, as shares of width and height. @type {Point[]} */
const PLACES = [[0.5, 0.5], [0.22, 0.5], [0.78, 0.5], [0.5, 0.22], [0.5, 0.78], [0.22, 0.22], [0.78, 0.22]];

/**
 * @param {Point} centre
 * @returns {Point[]} the corners of a tapped shape
 */
function around([x, y]) {
  return [
    [x - TAPPED, y - TAPPED],
    [x + TAPPED, y + TAPPED],
  ];
}

/**
 * Where on the canvas a place of the window is, when the picture fills its box as far as its proportions allow and
 * stands in the middle of it (`object-fit: contain`).
 * @param {{left: number, top: number, width: number, height: number}} box of the canvas in the window
 * @param {{width: number, height: number}} canvas
 * @param {{clientX: number, clientY: number}} place
 * @returns {Point}
 */
export function pointIn(box, canvas, { clientX, clientY }) {
  const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
  return [
    (clientX - box.left - box.width / 2) / scale + canvas.width / 2,
    (clientY - box.top - box.height / 2) / scale + canvas.height / 2,
  ];
}

/**
 * The outline of a mark.
 * @param {Mark} mark
 * @returns {Path2D}
 */
function outline({ tool, points }) {
  const path = new Path2D();
  const [[x0, y0]] = points;
  const [x1, y1] = points[points.length - 1];
  if (tool === "pen") for (const [x, y] of points) path.lineTo(x, y);
  else if (tool === "square") path.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
  else if (tool === "circle") {
    path.ellipse((x0 + x1) / 2, (y0 + y1) / 2, Math.abs(x1 - x0) / 2, Math.abs(y1 - y0) / 2, 0, 0, 2 * Math.PI);
  } else {
    path.moveTo((x0 + x1) / 2, y0);
    path.lineTo(x1, y1);
    path.lineTo(x0, y1);
    path.closePath();
  }
  return path;
}

export class Board {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {Tool} */
    this.tool = "circle";
    this.colour = "#e02424";
    /** @type {Mark[]} */
    this.marks = [];
    /** The mark under the pointer. @type {Mark | null} */
    this.drawing = null;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#finish());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#draw();
  }

  undo() {
    this.marks.pop();
    this.#draw();
  }

  clear() {
    this.marks = [];
    this.#draw();
  }

  /** Puts the chosen shape down at the next free place. */
  stamp() {
    const [x, y] = PLACES[this.marks.length % PLACES.length];
    const tool = this.tool === "pen" ? "circle" : this.tool;
    const points = around([x * this.canvas.width, y * this.canvas.height]);
    this.marks.push({ tool, colour: this.colour, points });
    this.#draw();
  }

  /**
   * @param {PointerEvent} event
   * @returns {Point}
   */
  #point(event) {
    return pointIn(this.canvas.getBoundingClientRect(), this.canvas, event);
  }

  /** @param {PointerEvent} event */
  #begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const point = this.#point(event);
    this.drawing = { tool: this.tool, colour: this.colour, points: [point, point] };
    this.#draw();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.drawing) return;
    const { tool, points } = this.drawing;
    this.drawing.points = tool === "pen" ? [...points, this.#point(event)] : [points[0], this.#point(event)];
    this.#draw();
  }

  #finish() {
    if (!this.drawing) return;
    const { tool, points } = this.drawing;
    const [[x0, y0], [x1, y1]] = points;
    const tapped = tool !== "pen" && Math.hypot(x1 - x0, y1 - y0) < STEADY;
    this.marks.push(tapped ? { ...this.drawing, points: around(points[0]) } : this.drawing);
    this.drawing = null;
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Enter" || event.key === " ") this.stamp();
    else if (event.key === "Backspace" || event.key === "Delete") this.undo();
    else return;
    event.preventDefault();
  }

  #draw() {
    const { context, canvas } = this;
    context.fillStyle = PAPER;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.lineWidth = PEN_WIDTH;
    context.lineCap = context.lineJoin = "round";
    for (const mark of this.drawing ? [...this.marks, this.drawing] : this.marks) {
      context.fillStyle = context.strokeStyle = mark.colour;
      if (mark.tool === "pen") context.stroke(outline(mark));
      else context.fill(outline(mark));
    }
  }
}
