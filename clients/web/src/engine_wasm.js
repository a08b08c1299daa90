/**
 * Correlations in WebAssembly SIMD: `kernels/correlate.ts`, compiled.
 *
 * Kernels are packed into its memory once and stay; behind them are an input and an output at a time.
 */

import { outputSize, pad } from "./correlation.js";
import { TfhError } from "./errors.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */
/** @typedef {import("./correlation.js").Correlation} Correlation */

const PAGE = 65536;
const PANEL = 32;
const ALIGNMENT = 64;

/** @param {number} value @param {number} unit */
const up = (value, unit) => Math.ceil(value / unit) * unit;

/** @typedef {import("./engine_plain.js").Engine} Engine */

/** @implements {Engine} */
export class WasmEngine {
  name = "wasm";
  #memory = new WebAssembly.Memory({ initial: 1 });
  /** @type {any} */
  #exports;
  #top = PAGE;
  /** @type {WeakMap<Correlation, { weights: number[], bias: number, panels: number }>} */
  #packed = new WeakMap();

  /**
   * @param {Uint8Array | ArrayBuffer} code the module's bytes
   * @returns {Promise<WasmEngine>}
   */
  static async load(code) {
    const engine = new WasmEngine();
    const imports = { env: { memory: engine.#memory } };
    const { instance } = await WebAssembly.instantiate(/** @type {BufferSource} */ (code), imports);
    engine.#exports = instance.exports;
    return engine;
  }

  /** Makes sure of the memory below an address. @param {number} end */
  #reserve(end) {
    const missing = Math.ceil((end - this.#memory.buffer.byteLength) / PAGE);
    if (missing <= 0) return;
    try {
      this.#memory.grow(missing);
    } catch {
      throw new TfhError(`There is not enough memory: ${Math.ceil(end / 2 ** 20)} MiB are needed.`);
    }
  }

  /** @param {Correlation} plan */
  #pack(plan) {
    let found = this.#packed.get(plan);
    if (found) return found;
    const Kind = plan.bias instanceof Float64Array ? Float64Array : Float32Array;
    const bytes = Kind.BYTES_PER_ELEMENT;
    const lanes = PANEL / bytes;
    const panels = Math.ceil(plan.outputs / lanes);
    const put = (/** @type {Float32Array | Float64Array} */ matrix) => {
      const depth = matrix.length / plan.outputs;
      const at = this.#top;
      this.#top = up(at + panels * depth * PANEL, ALIGNMENT);
      this.#reserve(this.#top);
      const target = new Kind(this.#memory.buffer, at, panels * depth * lanes).fill(0);
      for (let k = 0; k < depth; k++) {
        for (let o = 0; o < plan.outputs; o++) {
          const panel = Math.floor(o / lanes);
          target[(panel * depth + k) * lanes + (o % lanes)] = matrix[k * plan.outputs + o];
        }
      }
      return at;
    };
    found = { weights: plan.parts.map((part) => put(part.weights)), bias: put(plan.bias), panels };
    this.#packed.set(plan, found);
    return found;
  }

  /**
   * @param {Correlation} plan
   * @param {Tensor} x of the plan's inputs
   * @returns {Tensor}
   */
  correlate(plan, x) {
    const { inputs, outputs, pads, stride, step } = plan;
    const packed = this.#pack(plan);
    const double = plan.bias instanceof Float64Array;
    const Kind = double ? Float64Array : Float32Array;
    const bytes = Kind.BYTES_PER_ELEMENT;
    const wide = x.width + pads[2] + pads[3];
    const size = (x.height + pads[0] + pads[1]) * wide * inputs;
    const [height, width] = outputSize(plan, x.height, x.width);
    const place = packed.panels * PANEL;
    const source = this.#top;
    const target = up(source + size * bytes, ALIGNMENT);
    this.#reserve(target + height * width * place);
    pad(plan, x, new Kind(this.#memory.buffer, source, size));
    const run = double ? this.#exports.correlate64 : this.#exports.correlate32;
    plan.parts.forEach((part, i) => {
      run(
        source + (part.top * wide + part.left) * inputs * bytes,
        stride * wide * inputs * bytes,
        stride * inputs * bytes,
        part.rows,
        wide * inputs * bytes,
        part.columns * inputs,
        packed.weights[i],
        packed.bias,
        packed.panels,
        target + (part.placeRow * width + part.placeColumn) * place,
        step * width * place,
        step * place,
        height / step,
        width / step,
      );
    });
    const lanes = place / bytes;
    const result = new Kind(this.#memory.buffer, target, height * width * lanes);
    if (lanes === outputs) return { data: result.slice(), height, width, channels: outputs };
    const data = new Kind(height * width * outputs);
    for (let i = 0; i < height * width; i++) {
      data.set(result.subarray(i * lanes, i * lanes + outputs), i * outputs);
    }
    return { data, height, width, channels: outputs };
  }
}
