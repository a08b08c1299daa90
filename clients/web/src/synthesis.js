/** From decoded latents to pixels. */

import { pieces, region } from "./geometry.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */

/** Latents a side that the synthesis transform is run on at a time: a bound for memory. */
const TILE = 96;

/**
 * @param {import("./model.js").Model} model
 * @param {import("./engine_plain.js").Engine} engine
 * @param {Tensor} y decoded latents, before the gain
 * @param {number} qualityCode
 * @param {number} height of the picture
 * @param {number} width
 * @param {(share: number) => void} progress from 0 to 1
 * @returns {Uint8ClampedArray<ArrayBuffer>} RGBA, opaque
 */
export function synthesise(model, engine, y, qualityCode, height, width, progress) {
  const gain = model.gain(model.logInverseGain, qualityCode);
  const geometry = model.geometries.synthesis;
  const picture = new Uint8ClampedArray(height * width * 4);
  const down = pieces(geometry, y.height, TILE);
  const across = pieces(geometry, y.width, TILE);
  let done = 0;
  for (const vertical of down) {
    for (const horizontal of across) {
      const latents = region(y, vertical, horizontal);
      const { data, channels } = latents;
      for (let i = 0; i < data.length; i++) data[i] *= gain[i % channels];
      const values = model.networks.synthesis.run(engine, latents);
      const target = { data: picture, height, width };
      writePixels(values, vertical, horizontal, target, model.pixelRange);
      progress(++done / (down.length * across.length));
    }
  }
  return picture;
}

/**
 * @param {Tensor} values RGB in the model's range
 * @param {import("./geometry.js").Piece} down
 * @param {import("./geometry.js").Piece} across
 * @param {{ data: Uint8ClampedArray, height: number, width: number }} target
 * @param {[number, number]} range
 */
function writePixels(values, down, across, target, [low, high]) {
  const { fround } = Math;
  const rows = Math.min(down.count, target.height - down.place);
  const columns = Math.min(across.count, target.width - across.place);
  for (let i = 0; i < rows; i++) {
    let from = ((down.skip + i) * values.width + across.skip) * 3;
    let to = ((down.place + i) * target.width + across.place) * 4;
    for (let j = 0; j < columns; j++, from += 3, to += 4) {
      for (let c = 0; c < 3; c++) {
        // The array itself rounds halves to even, and saturates.
        const share = fround(fround(values.data[from + c] - low) / (high - low));
        target.data[to + c] = fround(share * 255);
      }
      target.data[to + 3] = 255;
    }
  }
}
