/** From decoded latents to pixels. */

import { pieces, region } from "./geometry.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */
/** @typedef {import("./latents.js").Rows} Rows */

/** Latents a side that the synthesis transform is run on at a time: a bound for memory. */
const TILE = 96;

/**
 * Pixels of some rows of latents.
 *
 * @param {import("./model.js").Model} model
 * @param {import("./engine_plain.js").Engine} engine
 * @param {import("./latents.js").Slab} y decoded latents, before the gain: the rows and their surroundings
 * @param {Rows} rows
 * @param {number} qualityCode
 * @param {{ height: number, width: number }} size of the picture in pixels
 * @param {(share: number) => void} progress from 0 to 1
 * @returns {{ data: Uint8ClampedArray<ArrayBuffer>, top: number, height: number }} RGBA, opaque
 */
export function synthesise(model, engine, y, rows, qualityCode, size, progress) {
  const gain = model.gain(model.logInverseGain, qualityCode);
  const geometry = model.geometries.synthesis;
  const top = Math.min(rows.start * model.stride, size.height);
  const height = Math.min(rows.stop * model.stride, size.height) - top;
  const target = { data: new Uint8ClampedArray(height * size.width * 4), top, height, width: size.width };
  const whole = model.sizes(size.height, size.width);
  const down = pieces(geometry, whole.height, TILE, rows.start, rows.stop);
  const across = pieces(geometry, whole.width, TILE);
  let done = 0;
  for (const vertical of down) {
    for (const horizontal of across) {
      const own = { ...vertical, first: vertical.first - y.top, last: vertical.last - y.top };
      const latents = region(y, own, horizontal);
      const { data, channels } = latents;
      for (let i = 0; i < data.length; i++) data[i] *= gain[i % channels];
      const values = model.networks.synthesis.run(engine, latents);
      writePixels(values, vertical, horizontal, target, model.pixelRange);
      progress(++done / (down.length * across.length));
    }
  }
  return { data: target.data, top, height };
}

/**
 * @param {Tensor} values RGB in the model's range
 * @param {import("./geometry.js").Piece} down
 * @param {import("./geometry.js").Piece} across
 * @param {{ data: Uint8ClampedArray, top: number, height: number, width: number }} target
 * @param {[number, number]} range
 */
function writePixels(values, down, across, target, [low, high]) {
  const { fround } = Math;
  const first = down.place - target.top;
  const rows = Math.min(down.count, target.height - first);
  const columns = Math.min(across.count, target.width - across.place);
  for (let i = 0; i < rows; i++) {
    let from = ((down.skip + i) * values.width + across.skip) * 3;
    let to = ((first + i) * target.width + across.place) * 4;
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
