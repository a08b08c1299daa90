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
 * @returns {Promise<Uint8Array>}
 */

export class TfhClient {
  #worker;
  #next = 0;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void, progress?: (share: number) => void }>} */
  #waiting = new Map();
  /** @type {Map<string, Promise<any>>} */
  #loading = new Map();

  /** @param {FindModel} findModel */
  constructor(findModel) {
    this.findModel = findModel;
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
  #ask(action, request, progress) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, progress });
      this.#worker.postMessage({ id, action, request });
    });
  }

  /** Makes sure that the worker has a model. @param {string} fingerprint */
  async load(fingerprint) {
    let loading = this.#loading.get(fingerprint);
    if (!loading) {
      loading = this.findModel(fingerprint).then((bytes) => this.#ask("load", { bytes }));
      this.#loading.set(fingerprint, loading);
      // What failed, a network for instance, may be tried again.
      loading.catch(() => this.#loading.delete(fingerprint));
    }
    const { fingerprint: found, name } = await loading;
    if (found !== fingerprint) {
      throw new TfhError(`Expected the model ${fingerprint}. Received ${name}, ${found}.`);
    }
  }

  /**
   * @param {Uint8Array} bytes of a `.tfh` file
   * @param {{ maxPixels?: number, progress?: (share: number) => void }} [options]
   * @returns {Promise<Picture & { model: string }>}
   * @throws {TfhError}
   */
  async decode(bytes, { maxPixels, progress } = {}) {
    const { fingerprint, loaded } = await this.#ask("header", { bytes, maxPixels });
    if (!loaded) await this.load(fingerprint);
    return this.#ask("decode", { bytes, maxPixels }, progress);
  }

  /**
   * @param {{ data: Uint8ClampedArray, width: number, height: number }} picture such as ImageData
   * @param {number} quality 1 to 8
   * @param {string} fingerprint of the model
   * @param {(share: number) => void} [progress]
   * @returns {Promise<Uint8Array>} a `.tfh` file
   */
  async encode({ data, width, height }, quality, fingerprint, progress) {
    await this.load(fingerprint);
    return this.#ask("encode", { picture: { data, width, height }, quality, fingerprint }, progress);
  }

  /** @param {Picture} picture @returns {Promise<Uint8Array>} a PNG file */
  png(picture) {
    return this.#ask("png", { picture });
  }

  /** Ends the worker. */
  close() {
    this.#worker.terminate();
  }
}
