/**
 * Latents in the two halves of a checkerboard (D. He et al., "Checkerboard context model for efficient
 * learned image compression", arXiv 2103.15306).
 *
 * A latent y is the symbol round(y / step - mean). Mean and step of the first half (row + column even)
 * follow from the hyperlatents, those of the second half from them and the decoded first half.
 */

import { add } from "./layers.js";
import { toSymbol } from "./rounding.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */

/**
 * @param {import("./model.js").Model} model
 * @param {import("./engine_plain.js").Engine} engine
 * @param {Tensor} features what the first network makes of the hyperlatents
 * @param {Tensor} latents of the same rows; becomes what a decoder has
 * @param {number} top the first row's number in the picture
 * @param {number} known so many rows, from the first on, are decoded already
 * @param {Float32Array | null} symbols takes the symbols in an encoder; null: `latents` are symbols
 * @param {Float32Array | null} [deadZone] of each latent, in an encoder
 */
export function settle(model, engine, features, latents, top, known, symbols, deadZone = null) {
  const { context_first: first, context_near: near, context_second: second } = model.networks;
  const { data, height, width, channels } = latents;
  const decoded = new Float32Array(data.length);

  /** @param {Tensor} outputs means and steps @param {number} parity @param {boolean} keep known rows */
  function half(outputs, parity, keep) {
    for (let i = 0; i < height; i++) {
      for (let j = (top + i + parity) % 2; j < width; j += 2) {
        const at = (i * width + j) * channels;
        for (let c = 0; c < channels; c++) {
          if (keep && i < known) {
            decoded[at + c] = data[at + c];
            continue;
          }
          const mean = outputs.data[2 * at + c];
          const step = Math.fround(Math.exp(0.5 * Math.tanh(outputs.data[2 * at + channels + c])));
          const symbol = symbols ? toSymbol(data[at + c] / step - mean, deadZone?.[at + c]) : data[at + c];
          if (symbols) symbols[at + c] = symbol;
          decoded[at + c] = Math.fround(symbol + mean) * step;
        }
      }
    }
  }

  half(first.run(engine, features), 0, true);
  // Of `decoded`, the second half is still zero.
  const around = near.run(engine, { ...latents, data: decoded });
  half(second.run(engine, add(around, features)), 1, true);
  data.set(decoded);
}
