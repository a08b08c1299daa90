// Measures convolutions: node tools/compare.js
//
// The module's kernels, and tfjs-backend-wasm's where @tensorflow/tfjs-core and
// @tensorflow/tfjs-backend-wasm are installed beside. Prints billions of multiplications a second of
// processor time.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { convolution, upsampling } from "../src/correlation.js";
import { WasmEngine } from "../src/index.js";

const kernels = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "dist", "kernels");
const [height, width, inputs] = [64, 96, 128];
const data = Float32Array.from({ length: height * width * inputs }, () => Math.random() - 0.5);
const noise = (/** @type {number[]} */ shape) => {
  const size = shape.reduce((a, b) => a * b);
  return { data: Float32Array.from({ length: size }, () => Math.random() - 0.5), shape };
};
const same = noise([3, 3, inputs, 128]);
const up = noise([5, 5, 64, inputs]);
const work = { "3x3": height * width * same.data.length, "5x5 upsampling": height * width * up.data.length };

/** @param {string} who @param {keyof typeof work} what @param {() => void} run */
function measure(who, what, run) {
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1e6);
  }
  console.log(`${who}, ${what}: ${(work[what] / best / 1e9).toFixed(1)}`);
}

for (const name of ["simd.wasm", "relaxed.wasm"]) {
  const code = fs.readFileSync(path.join(kernels, name));
  if (!WebAssembly.validate(code)) continue;
  const engine = await WasmEngine.load(code);
  const x = { data, height, width, channels: inputs };
  const plans = {
    "3x3": convolution(same, new Float32Array(128), 1),
    "5x5 upsampling": upsampling(up, new Float32Array(64), 2),
  };
  for (const [what, plan] of Object.entries(plans)) {
    measure(name, /** @type {keyof typeof work} */ (what), () => void engine.correlate(plan, x));
  }
}
try {
  const tf = await import("@tensorflow/tfjs-core");
  await import("@tensorflow/tfjs-backend-wasm");
  await tf.setBackend("wasm");
  const x = tf.tensor4d(data, [1, height, width, inputs]);
  const [kernel, upKernel] = [same, up].map((one) => tf.tensor4d(one.data, one.shape));
  measure("tfjs", "3x3", () => void tf.conv2d(x, kernel, 1, "same").dataSync());
  const size = [1, 2 * height, 2 * width, 64];
  measure("tfjs", "5x5 upsampling", () => void tf.conv2dTranspose(x, upKernel, size, 2, "same").dataSync());
} catch (error) {
  console.log(`tfjs is not measured: ${error.message.split("\n")[0]}`);
}
