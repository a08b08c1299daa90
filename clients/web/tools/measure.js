// Measures decoding in Node.js: node tools/measure.js MODEL.safetensors FILE.tfh [ROUNDS]
//
// Prints for each round the wall time and the processor time, which on a busy machine says more.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { decode, loadModel, WasmEngine } from "../src/index.js";

const [file, picture, rounds = "3"] = process.argv.slice(2);
const kernels = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "dist", "kernels");

/** @template T @param {string} what @param {() => Promise<T>} work @returns {Promise<T>} */
async function timed(what, work) {
  const [wall, before] = [performance.now(), process.cpuUsage()];
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - wall) / 1000;
  console.log(`${what}: ${seconds.toFixed(2)} s, ${((user + system) / 1e6).toFixed(2)} s of processor time`);
  return result;
}

const bytes = new Uint8Array(fs.readFileSync(file));
const data = new Uint8Array(fs.readFileSync(picture));
const model = await timed("model", () => loadModel(bytes));
for (const name of ["relaxed.wasm", "simd.wasm"]) {
  const code = fs.readFileSync(path.join(kernels, name));
  if (!WebAssembly.validate(code)) continue;
  const engine = await WasmEngine.load(code);
  for (let round = 0; round < Number(rounds); round++) {
    const { width, height } = await timed(name, () => decode(data, model, { engine }));
    if (!round) console.log(`${width}x${height}`);
  }
}
console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);
