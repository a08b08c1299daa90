/** Folded networks: lists of layers, as `tfhific/published/network.py` stores them. */

import { convolution, upsampling } from "./correlation.js";
import { TfhError } from "./errors.js";
import * as layers from "./layers.js";
import { valuesOf } from "./safetensors.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */
/** @typedef {import("./correlation.js").Correlation} Correlation */
/** @typedef {import("./engine_plain.js").Engine} Engine */
/** @typedef {Record<string, any>} Layer a JSON object with an `op` */

const DEEPEST = 16;

export class Network {
  /** @type {Map<string, Correlation>} */
  #plans = new Map();
  /** @type {Map<string, Float32Array>} */
  #values = new Map();

  /**
   * @param {Layer[]} list
   * @param {Map<string, import("./safetensors.js").Stored>} arrays of the whole model
   * @throws {TfhError} when a layer is not known, or lacks an array
   */
  constructor(list, arrays) {
    this.layers = list;
    this.arrays = arrays;
    this.#check(list, 0);
  }

  /** @param {Layer[]} list @param {number} depth */
  #check(list, depth) {
    if (!Array.isArray(list) || depth > DEEPEST) {
      throw new TfhError("The model's description has no readable list of layers.");
    }
    for (const layer of list) {
      const needed = Object.hasOwn(ARRAYS, layer?.op) ? ARRAYS[layer.op] : undefined;
      if (!needed) {
        throw new TfhError(
          `The model has a layer that this reader does not know: ${JSON.stringify(layer).slice(0, 80)}.`,
        );
      }
      for (const [array, rank] of Object.entries(needed)) {
        if (this.arrays.get(`${layer.name}/${array}`)?.shape.length !== rank) {
          throw new TfhError(`The model's layer ${layer.name} lacks its ${array} of ${rank} dimensions.`);
        }
      }
      if ("stride" in layer && !(layer.stride >= 1 && layer.stride <= 16)) {
        throw new TfhError(`The model's layer ${layer.name} has an impossible stride.`);
      }
      for (const branch of layer.branches ?? (layer.branch ? [layer.branch] : [])) {
        this.#check(branch, depth + 1);
      }
    }
  }

  /** @param {Layer} layer @param {string} array @returns {number[]} */
  shape(layer, array) {
    return this.arrays.get(`${layer.name}/${array}`)?.shape ?? [];
  }

  /** @param {Layer} layer @param {string} array @returns {Float32Array} */
  values(layer, array) {
    const name = `${layer.name}/${array}`;
    let found = this.#values.get(name);
    if (!found) {
      const stored = this.arrays.get(name);
      if (!stored) throw new TfhError(`The model lacks the array ${name}.`);
      found = valuesOf(stored, Float32Array);
      // Kernels are kept where they are packed.
      if (array !== "kernel" || layer.op === "depthwise_conv") this.#values.set(name, found);
    }
    return found;
  }

  /** @param {Layer} layer @returns {Correlation} */
  plan(layer) {
    let found = this.#plans.get(layer.name);
    if (!found) {
      found = this.#plan(layer);
      this.#plans.set(layer.name, found);
    }
    return found;
  }

  /** @param {Layer} layer @returns {Correlation} */
  #plan(layer) {
    if (layer.op === "gdn") {
      const kernel = { data: this.values(layer, "gamma"), shape: [1, 1, ...this.shape(layer, "gamma")] };
      return convolution(kernel, this.values(layer, "beta"), 1);
    }
    const kernel = { data: this.values(layer, "kernel"), shape: this.shape(layer, "kernel") };
    const bias = this.values(layer, "bias");
    if (layer.op === "deconv") return upsampling(kernel, bias, layer.stride, layer.crop);
    return convolution(kernel, bias, layer.stride, layer.pads, layer.padding === "reflect");
  }

  /**
   * @param {Engine} engine
   * @param {Tensor} x is left as it is
   * @returns {Tensor}
   */
  run(engine, x) {
    return this.#run(this.layers, engine, x);
  }

  /** @param {Layer[]} list @param {Engine} engine @param {Tensor} input @returns {Tensor} */
  #run(list, engine, input) {
    let x = input;
    // What a layer made may be changed in place, what came in may not.
    const own = () => (x === input ? { ...x, data: x.data.slice() } : x);
    for (const layer of list) {
      switch (layer.op) {
        case "conv":
        case "deconv":
          x = correlate(engine, this.plan(layer), x, layer);
          break;
        case "depthwise_conv":
          x = layers.depthwise(x, this.values(layer, "kernel"), this.shape(layer, "kernel"), this.values(layer, "bias"));
          break;
        case "gdn":
          x = layers.gdn(own(), correlate(engine, this.plan(layer), layers.magnitudes(x), layer), layer.inverse);
          break;
        case "channel_norm":
          x = layers.channelNorm(own(), this.values(layer, "gamma"), this.values(layer, "beta"), layer.epsilon);
          break;
        case "relu":
          x = layers.each(own(), (v) => (v > 0 ? v : 0));
          break;
        case "tanh":
          x = layers.each(own(), Math.tanh);
          break;
        case "leaky_relu":
          x = layers.leakyRelu(own(), Math.fround(layer.slope));
          break;
        case "scale":
          x = layers.scale(own(), Math.fround(layer.factor));
          break;
        case "space_to_depth":
          x = layers.spaceToDepth(x, layer.block);
          break;
        case "depth_to_space":
          x = layers.depthToSpace(x, layer.block);
          break;
        case "sum": {
          const [first, ...rest] = layer.branches.map((/** @type {Layer[]} */ branch) =>
            this.#run(branch, engine, x),
          );
          const sum = first === x ? { ...x, data: x.data.slice() } : first;
          x = rest.reduce((/** @type {Tensor} */ all, /** @type {Tensor} */ one) => layers.add(all, one), sum);
          break;
        }
        default:
          x = layers.add(own(), this.#run(layer.branch, engine, x));
      }
    }
    return x;
  }
}

/** @type {Record<string, Record<string, number>>} ranks of each layer's arrays */
const ARRAYS = {
  conv: { kernel: 4, bias: 1 },
  deconv: { kernel: 4, bias: 1 },
  depthwise_conv: { kernel: 3, bias: 1 },
  gdn: { gamma: 2, beta: 1 },
  channel_norm: { gamma: 1, beta: 1 },
  relu: {},
  tanh: {},
  leaky_relu: {},
  scale: {},
  space_to_depth: {},
  depth_to_space: {},
  sum: {},
  residual: {},
};

/** @param {Engine} engine @param {Correlation} plan @param {Tensor} x @param {Layer} layer */
function correlate(engine, plan, x, layer) {
  if (plan.inputs !== x.channels || plan.bias.length !== plan.outputs) {
    throw new TfhError(
      `The model's layer ${layer.name} takes ${plan.inputs} channels. Received: ${x.channels}.`,
    );
  }
  return engine.correlate(plan, x);
}
