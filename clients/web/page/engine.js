/** The fastest engine that this browser runs; the kernels' code is part of the bundle. */

import { PlainEngine, WasmEngine } from "../src/index.js";
// @ts-ignore: bytes, by the bundler
import relaxed from "../dist/kernels/relaxed.wasm";
// @ts-ignore
import simd from "../dist/kernels/simd.wasm";

/** @returns {Promise<import("../src/engine_plain.js").Engine>} */
export async function createEngine() {
  for (const code of [relaxed, simd]) {
    if (typeof WebAssembly === "object" && WebAssembly.validate(code)) return WasmEngine.load(code);
  }
  return new PlainEngine();
}
