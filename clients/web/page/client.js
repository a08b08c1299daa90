/** The module's work in a worker: pages stay responsive, and models are fetched when first needed. */

import { TfhError } from "../src/errors.js";
// @ts-ignore: the bundled worker's text, by the bundler
import workerText from "worker:text";

/** @typedef {import("../src/decode.js").Picture} Picture */

/**
 * Finds a model's bytes.
 *
 * @callback FindModel
 * @param {string} fingerprint 16 hexadecimal digits
 * @param {string} [decoder] the name of another decoder for that model's files, a decoder alone
 * @returns {Promise<Uint8Array>}
 */

/** Pictures of more pixels are decoded in strips, by several workers. */
const LARGE = 1_500_000;
const MOST_WORKERS = 4;

/** A worker, and what it was asked. */
class Helper {
  #worker;
  #next = 0;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void, progress?: (share: number) => void }>} */
  #waiting = new Map();
  /** Models that it has, or is about to have. @type {Map<string, Promise<{ fingerprint: string, name: string }>>} */
  models = new Map();

  constructor() {
    // From a blob, so that it works from file:// and from another origin's script too.
    const url = URL.createObjectURL(new Blob([workerText], { type: "text/javascript" }));
    this.#worker = new Worker(url);
    URL.revokeObjectURL(url);
    this.#worker.addEventListener("message", ({ data }) => this.#receive(data));
    this.#worker.addEventListener("error", ({ message }) => {
      for (const { reject } of this.#waiting.values()) reject(new TfhError(`The worker failed: ${message}`));
      this.#waiting.clear();
    });
  }

  /** @param {{ id: number, share?: number, result?: any, error?: string }} message */
  #receive({ id, share, result, error }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (share !== undefined) {
      waiting.progress?.(share);
      return;
    }
    this.#waiting.delete(id);
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(new TfhError(error));
  }

  /**
   * @param {string} action
   * @param {any} request
   * @param {(share: number) => void} [progress]
   * @returns {Promise<any>}
   */
  ask(action, request, progress) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress });
      this.#worker.postMessage({ id, action, request });
    });
  }

  close() {
    this.#worker.terminate();
  }
}

export class TfhClient {
  /** @type {Helper[]} */
  #helpers = [];
  /** @type {Map<string, Promise<Uint8Array>>} */
  #bytes = new Map();

  /** @param {FindModel} findModel */
  constructor(findModel) {
    this.findModel = findModel;
  }

  /** @param {number} index @returns {Helper} */
  #helper(index) {
    return (this.#helpers[index] ??= new Helper());
  }

  /** A model's bytes, fetched once for all workers. @param {string} fingerprint @param {string} [decoder] */
  #bytesOf(fingerprint, decoder) {
    const key = keyOf(fingerprint, decoder);
    let bytes = this.#bytes.get(key);
    if (!bytes) {
      bytes = this.findModel(fingerprint, decoder);
      this.#bytes.set(key, bytes);
      bytes.catch(() => this.#bytes.delete(key));
    }
    return bytes;
  }

  /**
   * Makes sure that a worker has a model, or another decoder for its files.
   *
   * @param {Helper} helper
   * @param {string} fingerprint
   * @param {string} [decoder]
   * @returns {Promise<string>} what the worker knows it by
   */
  async #load(helper, fingerprint, decoder) {
    const key = keyOf(fingerprint, decoder);
    const base = decoder === undefined ? undefined : await this.#load(helper, fingerprint);
    let loading = helper.models.get(key);
    if (!loading) {
      loading = this.#bytesOf(fingerprint, decoder).then((bytes) => helper.ask("load", { bytes, key, base }));
      helper.models.set(key, loading);
      // What failed, a network for instance, may be tried again.
      loading.catch(() => helper.models.delete(key));
    }
    const found = await loading;
    if (found.fingerprint !== fingerprint || (decoder ?? found.name) !== found.name) {
      throw new TfhError(`Expected the model ${key}. Received ${found.name}, ${found.fingerprint}.`);
    }
    return key;
  }

  /**
   * @param {Uint8Array} bytes of a `.tfh` file
   * @param {{ maxPixels?: number, progress?: (share: number) => void,
   *   decoder?: string | ((fingerprint: string) => string | undefined) }} [options] `decoder`: the
   *   name of another decoder for the file's model, or what gives one for a model; undefined for its own
   * @returns {Promise<Picture & { model: string, fingerprint: string }>}
   * @throws {TfhError}
   */
  async decode(bytes, { maxPixels, progress, decoder } = {}) {
    const { fingerprint, width, height } = await this.#helper(0).ask("header", { bytes, maxPixels });
    const name = typeof decoder === "function" ? decoder(fingerprint) : decoder;
    const cores = Math.min(navigator.hardwareConcurrency || 1, MOST_WORKERS);
    const count = width * height > LARGE ? cores : 1;
    const shares = new Array(count).fill(0);
    const strips = await Promise.all(
      shares.map(async (_, index) => {
        const helper = this.#helper(index);
        const key = await this.#load(helper, fingerprint, name);
        return helper.ask("decode", { bytes, key, maxPixels, strip: { index, count } }, (share) => {
          shares[index] = share / count;
          progress?.(shares.reduce((a, b) => a + b));
        });
      }),
    );
    if (count === 1) return strips[0];
    const data = new Uint8ClampedArray(4 * width * height);
    for (const strip of strips) data.set(strip.data, 4 * width * strip.top);
    return { ...strips[0], data, height, top: 0 };
  }

  /**
   * @param {import("../src/encode.js").Source} picture such as ImageData; with its profile and EXIF
   *   block, where it has them
   * @param {number} quality 1 to 8
   * @param {string} fingerprint of the model
   * @param {(share: number) => void} [progress]
   * @returns {Promise<Uint8Array>} a `.tfh` file
   */
  async encode({ data, width, height, icc, exif }, quality, fingerprint, progress) {
    const helper = this.#helper(0);
    await this.#load(helper, fingerprint);
    return helper.ask("encode", { picture: { data, width, height, icc, exif }, quality, fingerprint }, progress);
  }

  /** @param {import("../src/png_write.js").Source} picture @returns {Promise<Uint8Array>} a PNG file */
  png(picture) {
    return this.#helper(0).ask("png", { picture });
  }

  /** Ends the workers. */
  close() {
    for (const helper of this.#helpers) helper.close();
    this.#helpers = [];
  }
}

/** What a worker knows a model or a decoder by. @param {string} fingerprint @param {string} [decoder] */
function keyOf(fingerprint, decoder) {
  return decoder === undefined ? fingerprint : `${fingerprint}.${decoder}`;
}
