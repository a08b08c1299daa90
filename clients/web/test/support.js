/** What the tests share: files that Python made, models, engines. */

import fs from "node:fs";
import path from "node:path";

import { loadModel, PlainEngine, WasmEngine } from "../src/index.js";

/** The folder of files that the tests were given. */
export const FOLDER = process.env.TFH_FILES ?? "";

/** @param {string} name @returns {Uint8Array} */
export const read = (name) => new Uint8Array(fs.readFileSync(path.join(FOLDER, name)));

/** @param {string} name */
export const exists = (name) => fs.existsSync(path.join(FOLDER, name));

/** @param {string} name */
export const readJson = (name) => JSON.parse(fs.readFileSync(path.join(FOLDER, name), "utf8"));

/** @param {string} name @returns {Int32Array} */
export const readIntegers = (name) => new Int32Array(read(name).buffer);

/** @type {Map<string, Promise<import("../src/model.js").Model>>} */
const models = new Map();

/** @param {string} file @param {string} [codec] file of the model that a decoder alone needs */
export function modelOf(file, codec) {
  let model = models.get(file);
  if (!model) {
    const bytes = new Uint8Array(fs.readFileSync(file));
    model = codec ? modelOf(codec).then((base) => loadModel(bytes, { base })) : loadModel(bytes);
    models.set(file, model);
  }
  return model;
}

/**
 * The plain engine, and those of WebAssembly where TFH_KERNELS names their folder; of them those that
 * TFH_ENGINES names, if it does.
 */
export async function engines() {
  /** @type {import("../src/engine_plain.js").Engine[]} */
  const found = [new PlainEngine()];
  const folder = process.env.TFH_KERNELS;
  for (const name of folder ? ["simd.wasm", "relaxed.wasm"] : []) {
    const code = fs.readFileSync(path.join(folder ?? "", name));
    if (!WebAssembly.validate(code)) continue;
    found.push(Object.assign(await WasmEngine.load(code), { name }));
  }
  const wanted = process.env.TFH_ENGINES?.split(",");
  return found.filter(({ name }) => !wanted || wanted.includes(name));
}
