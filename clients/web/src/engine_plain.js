/** Correlations in plain JavaScript: slow, and what the WebAssembly engine is held against. */

import { outputSize, pad } from "./correlation.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */
/** @typedef {import("./correlation.js").Correlation} Correlation */

/**
 * What runs correlations.
 *
 * @typedef {object} Engine
 * @property {string} name
 * @property {(plan: Correlation, x: Tensor) => Tensor} correlate
 */

/** @implements {Engine} */
export class PlainEngine {
  name = "javascript";

  /**
   * @param {Correlation} plan
   * @param {Tensor} x of the plan's inputs
   * @returns {Tensor}
   */
  correlate(plan, x) {
    const { inputs, outputs, pads, stride, step, bias } = plan;
    const Kind = bias instanceof Float64Array ? Float64Array : Float32Array;
    const wide = x.width + pads[2] + pads[3];
    const padded = new Kind((x.height + pads[0] + pads[1]) * wide * inputs);
    pad(plan, x, padded);
    const [height, width] = outputSize(plan, x.height, x.width);
    const data = new Kind(height * width * outputs);
    const sums = new Float64Array(outputs);
    for (const part of plan.parts) {
      const depth = part.columns * inputs;
      for (let i = 0; i < height / step; i++) {
        for (let j = 0; j < width / step; j++) {
          sums.set(bias);
          let weight = 0;
          for (let row = 0; row < part.rows; row++) {
            const from = ((i * stride + part.top + row) * wide + j * stride + part.left) * inputs;
            for (let k = 0; k < depth; k++, weight += outputs) {
              const value = padded[from + k];
              if (value === 0) continue;
              for (let o = 0; o < outputs; o++) sums[o] += value * part.weights[weight + o];
            }
          }
          const place = (i * step + part.placeRow) * width + j * step + part.placeColumn;
          data.set(sums, place * outputs);
        }
      }
    }
    return { data, height, width, channels: outputs };
  }
}
