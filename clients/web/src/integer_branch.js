/**
 * Scale indexes from hyperlatents, exactly (docs/format.md, "The integer branch").
 *
 * All numbers are whole and every partial sum is below 2^40; doubles hold whole numbers up to 2^53, so
 * that no order of summation can change a result.
 */

import { convolution, upsampling } from "./correlation.js";
import { TfhError } from "./errors.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */
/** @typedef {import("./correlation.js").Correlation} Correlation */

const MAX_INPUT = 4095;
const MAX_ACTIVATION = 2 ** 18 - 1;
const MAX_SUM = 2 ** 40;

/**
 * @typedef {object} IntegerLayer
 * @property {string} op `conv` or `deconv`
 * @property {number} stride
 * @property {number} shift bits that its sums are shifted down by
 * @property {import("./correlation.js").Weights} kernel
 * @property {Float64Array} bias
 */

export class IntegerBranch {
  /**
   * @param {IntegerLayer[]} layers
   * @param {number} rows scale indexes are below it
   * @param {Float64Array | null} thresholds what the last layer's sums are compared with, or null
   * @throws {TfhError} when a sum could leave the range in which it is exact
   */
  constructor(layers, rows, thresholds) {
    this.rows = rows;
    this.thresholds = thresholds;
    this.layers = layers;
    let largest = MAX_INPUT;
    layers.forEach((layer, number) => {
      const last = number === layers.length - 1;
      if (layer.shift < 0 || layer.shift >= 40 || (layer.shift === 0) !== (last && !!thresholds)) {
        throw new TfhError(`Layer ${number} of the model's integer branch is malformed.`);
      }
      const bound = largestSum(layer, largest);
      if (!(bound < MAX_SUM)) {
        throw new TfhError(
          `Layer ${number} of the model's integer branch could reach ${bound}, which is not below ` +
            "2^40: its arithmetic would not be exact.",
        );
      }
      largest = MAX_ACTIVATION;
    });
    this.plans = layers.map(({ op, kernel, bias, stride }) =>
      op === "conv" ? convolution(kernel, bias, stride) : upsampling(kernel, bias, stride),
    );
  }

  /**
   * @param {import("./engine_plain.js").Engine} engine
   * @param {{ data: Int32Array, height: number, width: number, channels: number }} z hyperlatents
   * @returns {{ data: Int32Array, height: number, width: number, channels: number }}
   */
  indexes(engine, z) {
    const clipped = Float64Array.from(z.data, (v) => Math.min(Math.max(v, -MAX_INPUT), MAX_INPUT));
    /** @type {Tensor} */
    let x = { ...z, data: clipped };
    this.plans.forEach((plan, number) => {
      x = engine.correlate(plan, x);
      const last = number === this.plans.length - 1;
      if (last && this.thresholds) return;
      const { data } = x;
      const unit = 2 ** -this.layers[number].shift;
      const limit = last ? this.rows - 1 : MAX_ACTIVATION;
      for (let i = 0; i < data.length; i++) {
        const value = Math.floor(data[i] * unit + 0.5);
        data[i] = value < 0 ? 0 : value > limit ? limit : value;
      }
    });
    const { thresholds } = this;
    const data = Int32Array.from(x.data, thresholds ? (sum) => reached(thresholds, sum) : undefined);
    return { ...x, data };
  }
}

/** How many of the rising thresholds a sum reaches. @param {Float64Array} thresholds @param {number} sum */
function reached(thresholds, sum) {
  let low = 0;
  let high = thresholds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (thresholds[middle] <= sum) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param {IntegerLayer} layer @param {number} largest input */
function largestSum(layer, largest) {
  const { data, shape } = layer.kernel;
  const up = layer.op === "deconv";
  const outputs = up ? shape[2] : shape[3];
  const inner = up ? shape[3] : 1;
  const sums = new Float64Array(outputs);
  for (let i = 0; i < data.length; i++) sums[Math.floor(i / inner) % outputs] += Math.abs(data[i]);
  const most = sums.reduce((a, sum, i) => Math.max(a, sum * largest + Math.abs(layer.bias[i])), 0);
  return most + 2 ** layer.shift;
}
