/** A published model: what `model.safetensors` holds, checked. */

import { canonicalJson, quoted } from "./canonical_json.js";
import { channelsAfter } from "./channels.js";
import { TfhError } from "./errors.js";
import { geometryOf } from "./geometry.js";
import { IntegerBranch } from "./integer_branch.js";
import { Network } from "./network.js";
import { readSafetensors, valuesOf } from "./safetensors.js";
import { Tables } from "./tables.js";

/** @typedef {import("./safetensors.js").Stored} Stored */
/** @typedef {import("./geometry.js").Geometry} Geometry */

const FORMATS = [1, 2, 3, 4, 5];
/** Of a decoder alone: the synthesis transform, without the rest of the codec whose files it decodes. */
const DECODER_FORMAT = 5;
const MOST_MIN_LATENTS = 64;
const COMMON = ["analysis", "synthesis", "hyper_analysis"];
const CONTEXT = ["context_features", "context_first", "context_near", "context_second"];

/**
 * Reads a model.
 *
 * @param {Uint8Array} data the bytes of `model.safetensors`
 * @param {{ verify?: boolean, base?: Model }} [options] `verify: false` skips the checksum over
 *   everything; `base` is the codec of a decoder alone, and must be given for one
 * @returns {Promise<Model>}
 * @throws {TfhError} when it is no model with a hyperprior, or damaged, or not a decoder for `base`
 */
export async function loadModel(data, { verify = true, base } = {}) {
  const { metadata, arrays } = readSafetensors(data);
  const text = metadata.tfhific;
  if (typeof text !== "string") {
    throw new TfhError("Expected a model of tfhific. Received a .safetensors file without its entry.");
  }
  let description;
  try {
    description = JSON.parse(text);
  } catch {
    throw new TfhError("The model's description is not readable JSON.");
  }
  if (!FORMATS.includes(description?.format)) {
    throw new TfhError(
      `The model has format ${JSON.stringify(description?.format)}; this reader knows ${FORMATS.join(", ")}.`,
    );
  }
  const alone = description.format === DECODER_FORMAT;
  if ((!alone && !description.branch) || !description.networks) {
    throw new TfhError(
      `A model of the system ${JSON.stringify(description.system)} can't be run here: expected one ` +
        "with a hyperprior, such as mini.",
    );
  }
  // Outside secure contexts (pages over plain HTTP) there is no SHA-256.
  if (verify && globalThis.crypto?.subtle) {
    if ((await digest(text, arrays)) !== description.sha256) {
      throw new TfhError("The model is damaged: its checksum does not fit its contents.");
    }
  }
  return alone ? overBase(description, arrays, base) : new Model(description, arrays);
}

/**
 * The codec of a decoder alone.
 *
 * @param {Record<string, any>} description
 * @param {Map<string, Stored>} arrays
 * @param {Model} [base]
 * @returns {Model}
 */
function overBase(description, arrays, base) {
  const { name, system, decoder_of: codec, fingerprint, networks } = description;
  if (!(base instanceof Model)) {
    throw new TfhError(`Expected, as \`base\`, the model ${codec} that ${name} is a decoder of. Received none.`);
  }
  if (fingerprint !== base.fingerprint || system !== base.system) {
    throw new TfhError(
      `The decoder ${name} is for files of ${codec}, ${fingerprint}. Received: ${base.name}, ${base.fingerprint}.`,
    );
  }
  const range = description.pixel_range ?? [-0.5, 0.5];
  const alone = Object.keys(networks).join() === "synthesis";
  const own = [...arrays.keys()].every((key) => key.startsWith("synthesis/"));
  if (!alone || !own || String(range) !== String(base.pixelRange)) {
    throw new TfhError(`The decoder ${name} is inconsistent: expected the network synthesis for ${codec}.`);
  }
  return base.withSynthesis(String(name), new Network(networks.synthesis, arrays));
}

/**
 * The checksum over all that a model's file holds.
 *
 * @param {string} text the description
 * @param {Map<string, Stored>} arrays
 * @returns {Promise<string>}
 */
async function digest(text, arrays) {
  const encoder = new TextEncoder();
  /** @type {Uint8Array[]} */
  const parts = [encoder.encode(canonicalJson(text, "sha256"))];
  for (const name of [...arrays.keys()].sort()) {
    const { dtype, shape, bytes } = /** @type {Stored} */ (arrays.get(name));
    parts.push(encoder.encode(`[${quoted(name)}, ${quoted(dtype)}, [${shape.join(", ")}]]`), bytes);
  }
  const whole = await new Blob(/** @type {BlobPart[]} */ (parts)).arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Model {
  /**
   * @param {Record<string, any>} description
   * @param {Map<string, Stored>} arrays
   */
  constructor(description, arrays) {
    const stored = (/** @type {string} */ name) => {
      const array = arrays.get(name);
      if (!array) throw new TfhError(`The model lacks the array ${JSON.stringify(name)}.`);
      return array;
    };
    /** @type {string} */
    this.name = String(description.name);
    /** @type {string} */
    this.system = String(description.system);
    /** 16 hexadecimal digits that a file names its model by. @type {string} */
    this.fingerprint = String(description.fingerprint);
    /** Whether means come in two passes, with steps. */
    this.checkerboard = CONTEXT[0] in description.networks;
    const names = [...COMMON, ...(this.checkerboard ? CONTEXT : ["hyper_synthesis_mean"])];
    /** @type {Record<string, Network>} */
    this.networks = {};
    for (const name of names) this.networks[name] = new Network(description.networks[name], arrays);
    this.yTables = new Tables(
      valuesOf(stored("y_tables/lookup"), Int32Array),
      valuesOf(stored("y_tables/minimum"), Int32Array),
    );
    this.zTables = new Tables(
      valuesOf(stored("z_tables/lookup"), Int32Array),
      valuesOf(stored("z_tables/minimum"), Int32Array),
    );
    const thresholds = arrays.get("branch/thresholds");
    this.branch = new IntegerBranch(
      description.branch.map((/** @type {any} */ layer, /** @type {number} */ i) => {
        const kernel = stored(`branch/${i}/kernel`);
        return {
          op: layer.op,
          stride: layer.stride,
          shift: layer.shift,
          kernel: { data: valuesOf(kernel, Float64Array), shape: kernel.shape },
          bias: valuesOf(stored(`branch/${i}/bias`), Float64Array),
        };
      }),
      this.yTables.rows,
      thresholds ? valuesOf(thresholds, Float64Array) : null,
    );
    /** Latent channels. @type {number} */
    this.channels = stored("log_gain").shape[1];
    this.logGain = valuesOf(stored("log_gain"), Float32Array);
    this.logInverseGain = valuesOf(stored("log_inverse_gain"), Float32Array);
    const deadZone = arrays.get("dead_zone");
    /** By how much an encoder moves a latent towards zero, for each scale. @type {Float32Array | null} */
    this.deadZone = deadZone ? valuesOf(deadZone, Float32Array) : null;
    /** Whether a quality has no effect. */
    this.singleRate = [this.logGain, this.logInverseGain].every((table) =>
      table.every((value, i) => value === table[i % this.channels]),
    );
    /** What the picture networks have for pixels of 0 and of 255. @type {[number, number]} */
    this.pixelRange = description.pixel_range ?? [-0.5, 0.5];
    /** Fewest latents a side. @type {number} */
    this.minLatents = description.min_latents ?? 1;
    /** @type {Record<string, Geometry>} */
    this.geometries = { branch: branchGeometry(this.branch) };
    for (const [name, network] of Object.entries(this.networks)) this.geometries[name] = networkGeometry(network);
    /** Pixels per latent. */
    this.stride = this.geometries.analysis.down;
    /** Latents per hyperlatent. */
    this.hyperStride = this.geometries.hyper_analysis.down;
    check(this);
  }

  /**
   * This codec with another decoder for the same files; all else is shared.
   *
   * @param {string} name
   * @param {Network} synthesis
   * @returns {Model}
   * @throws {TfhError} when it does not fit
   */
  withSynthesis(name, synthesis) {
    /** @type {Model} */
    const other = Object.assign(Object.create(Model.prototype), this, { name });
    other.networks = { ...this.networks, synthesis };
    other.geometries = { ...this.geometries, synthesis: networkGeometry(synthesis) };
    check(other);
    return other;
  }

  /**
   * Sizes of a picture's latents and hyperlatents.
   *
   * @param {number} pixelHeight
   * @param {number} pixelWidth
   */
  sizes(pixelHeight, pixelWidth) {
    const height = Math.max(Math.ceil(pixelHeight / this.stride), this.minLatents);
    const width = Math.max(Math.ceil(pixelWidth / this.stride), this.minLatents);
    const hyperHeight = Math.ceil(height / this.hyperStride);
    return { height, width, hyperHeight, hyperWidth: Math.ceil(width / this.hyperStride) };
  }

  /**
   * Factors of the channels at a quality: logarithms interpolated between two whole qualities.
   *
   * @param {Float32Array} table `logGain` or `logInverseGain`
   * @param {number} qualityCode (quality - 1) * 4096
   * @returns {Float32Array}
   */
  gain(table, qualityCode) {
    const { fround } = Math;
    const { channels } = this;
    const position = qualityCode / 4096;
    const below = Math.min(Math.floor(position), table.length / channels - 2);
    const share = fround(position - below);
    return Float32Array.from({ length: channels }, (_, c) => {
      const first = table[below * channels + c];
      const step = fround(table[(below + 1) * channels + c] - first);
      return Math.exp(fround(first + fround(share * step)));
    });
  }
}

/** @param {IntegerBranch} branch @returns {Geometry} */
function branchGeometry(branch) {
  const shapes = new Map(branch.layers.map((layer) => [layer, layer.kernel.shape]));
  return geometryOf(branch.layers, (layer) => shapes.get(/** @type {any} */ (layer)) ?? []);
}

/** @param {Network} network @returns {Geometry} */
function networkGeometry(network) {
  return geometryOf(network.layers, (layer) => network.shape(layer, "kernel"));
}

/** @param {Model} model @throws {TfhError} when its parts do not fit each other */
function check(model) {
  const { branch, channels, geometries, networks, logGain } = model;
  const means = model.checkerboard ? "context_features" : "hyper_synthesis_mean";
  const qualities = logGain.length / channels;
  const [low, high] = model.pixelRange;
  const fits =
    branch.plans.at(-1)?.outputs === channels &&
    branch.plans[0]?.inputs === model.zTables.rows &&
    channelsAfter(networks.synthesis, channels) === 3 &&
    geometries.synthesis.up === model.stride &&
    geometries[means].up === model.hyperStride &&
    geometries.branch.up === model.hyperStride &&
    qualities >= 2 &&
    model.logInverseGain.length === logGain.length &&
    Number.isFinite(high - low) &&
    low < high &&
    model.minLatents >= 1 &&
    model.minLatents <= MOST_MIN_LATENTS &&
    (!model.deadZone ||
      (model.deadZone.length === model.yTables.rows && model.deadZone.every((v) => v >= 0 && v <= 0.5)));
  if (!fits) throw new TfhError(`The model ${model.name} is inconsistent: its parts do not fit.`);
}
