/**
 * Sample-rate conversion on a stream: windowed-sinc, exact polyphase, the same output for any chunking.
 *
 * Used on the audio thread both ways: the microphone's rate (44,100 or 48,000 Hz as a rule) to the wire's
 * 24,000 Hz, and the wire's rate to the loudspeaker's.
 */

/** Zero crossings on each side of the kernel, counted at the lower of the two rates: 0.67 ms of delay at 24 kHz. */
const CROSSINGS = 16;

/** Where the pass band ends, as a share of the lower rate's Nyquist frequency. */
const ROLLOFF = 0.92;

/** Kaiser window parameter: about 80 dB of stop-band rejection. */
const BETA = 8;

/**
 * @param {number} a
 * @param {number} b
 * @returns {number} greatest common divisor
 */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/**
 * Modified Bessel function of the first kind, order zero, by its power series.
 * @param {number} x
 */
function bessel0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * One filter a phase: row p holds the taps for an output that falls p / phases of a sample after an input.
 * @param {number} phases
 * @param {number} half taps on each side of the centre
 * @param {number} cutoff in cycles per input sample, at most 0.5
 * @returns {Float32Array[]} each `[2 * half]`, summing to 1
 */
function kernels(phases, half, cutoff) {
  const edge = bessel0(BETA);
  return Array.from({ length: phases }, (_, phase) => {
    const taps = new Float32Array(2 * half);
    let sum = 0;
    for (let i = 0; i < 2 * half; i++) {
      const t = i - (half - 1) - phase / phases;
      const sinc = t === 0 ? 1 : Math.sin(2 * Math.PI * cutoff * t) / (2 * Math.PI * cutoff * t);
      const window = bessel0(BETA * Math.sqrt(Math.max(0, 1 - (t / half) ** 2))) / edge;
      taps[i] = sinc * window;
      sum += taps[i];
    }
    return taps.map((tap) => tap / sum);
  });
}

export class Resampler {
  /**
   * @param {number} inRate Hz, a positive integer
   * @param {number} outRate Hz, a positive integer
   * @throws {RangeError} when a rate is not a positive integer
   */
  constructor(inRate, outRate) {
    for (const rate of [inRate, outRate]) {
      if (!Number.isInteger(rate) || rate <= 0) throw new RangeError(`sample rate ${rate} is not a positive integer`);
    }
    const common = gcd(inRate, outRate);
    /** Inputs per `up` outputs. */
    this.down = inRate / common;
    /** Outputs per `down` inputs, and the number of phases. */
    this.up = outRate / common;
    const ratio = Math.max(1, inRate / outRate);
    this.half = Math.ceil(CROSSINGS * ratio);
    this.kernels = this.up === this.down ? [] : kernels(this.up, this.half, (0.5 * ROLLOFF) / ratio);
    /** Inputs not yet done with; begins with the silence before the stream. @type {Float32Array} */
    this.kept = new Float32Array(this.half - 1);
    /** Index of `kept[0]` in the stream; negative in the silence before it. */
    this.origin = -(this.half - 1);
    /** Inputs received. */
    this.received = 0;
    /** Outputs produced. */
    this.produced = 0;
  }

  /**
   * @param {Float32Array} samples `[n]` at the input rate
   * @returns {Float32Array} what can be told so far, at the output rate
   */
  push(samples) {
    if (this.up === this.down) return samples.slice();
    this.received += samples.length;
    this.#keep(samples);
    return this.#produce(Infinity);
  }

  /**
   * Ends the stream. The whole stream's output is then `ceil(inputs * outRate / inRate)` samples long.
   * @returns {Float32Array} the rest, at the output rate
   */
  flush() {
    if (this.up === this.down) return new Float32Array(0);
    const total = Math.ceil((this.received * this.up) / this.down);
    this.#keep(new Float32Array(this.half));
    return this.#produce(total);
  }

  /** @param {Float32Array} samples */
  #keep(samples) {
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    this.kept = all;
  }

  /**
   * @param {number} total outputs at which to stop
   * @returns {Float32Array}
   */
  #produce(total) {
    const known = this.origin + this.kept.length;
    // Output k stands at input k * down / up and needs `half` inputs after the one before it.
    const ready = Math.floor(((known - this.half) * this.up - 1) / this.down) + 1;
    const out = new Float32Array(Math.max(0, Math.min(ready, total) - this.produced));
    for (let i = 0; i < out.length; i++) out[i] = this.#at(this.produced + i);
    this.produced += out.length;
    const centre = Math.floor((this.produced * this.down) / this.up);
    const done = Math.max(0, Math.min(this.kept.length, centre - (this.half - 1) - this.origin));
    this.kept = this.kept.slice(done);
    this.origin += done;
    return out;
  }

  /** @param {number} k index of an output */
  #at(k) {
    const position = k * this.down;
    const taps = this.kernels[position % this.up];
    const first = Math.floor(position / this.up) - (this.half - 1) - this.origin;
    let sum = 0;
    for (let i = 0; i < taps.length; i++) sum += taps[i] * this.kept[first + i];
    return sum;
  }
}
