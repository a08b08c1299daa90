/** `.tfh` files to pictures. */

import { checkPlane, decodePlane } from "./alpha_plane.js";
import { checkClaims } from "./claims.js";
import { MAX_PIXELS, QUALITY_STEPS, unpack } from "./container.js";
import { TfhError } from "./errors.js";
import { dequantise, scaleIndexes, surroundings } from "./latents.js";
import { decodeValues } from "./symbols.js";
import { synthesise } from "./synthesis.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./engine_plain.js").Engine} Engine */
/** @typedef {import("./container.js").Contents} Contents */
/** @typedef {import("./latents.js").Rows} Rows */

/** Rows of latents that are dequantised at a time: a bound for memory. */
const CHUNK = 64;

/**
 * A picture.
 *
 * @typedef {object} Picture
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} top rows of the whole picture above these; 0 unless a strip was asked for
 * @property {Uint8ClampedArray<ArrayBuffer>} data RGBA, row by row, as `ImageData` has it; not premultiplied
 * @property {boolean} hasAlpha whether the file has an alpha plane
 * @property {Uint8Array | null} icc ICC profile
 * @property {Uint8Array | null} exif EXIF block
 * @property {number} quality 1 to 8
 * @property {number} bitsPerPixel of the whole file
 */

/**
 * @typedef {object} Options
 * @property {Engine} engine
 * @property {number} [maxPixels] larger pictures are refused
 * @property {(share: number) => void} [progress] told how much is done, from 0 to 1
 * @property {{ index: number, count: number }} [strip] only one of so many strips of the picture, from
 *   top to bottom: several workers can have one each. Strips may be of no rows
 */

/**
 * Decodes a file.
 *
 * @param {Uint8Array} data the whole file
 * @param {Model} model
 * @param {Options} options
 * @returns {Promise<Picture>}
 * @throws {TfhError} when the file is damaged, of another model, or too large
 */
export async function decode(data, model, options) {
  const { engine, maxPixels = MAX_PIXELS, progress = () => {}, strip = { index: 0, count: 1 } } = options;
  const contents = unpackFor(data, model, maxPixels);
  const plane = contents.alpha ? await decodePlane(contents.alpha, contents.height, contents.width) : null;
  const rows = rowsOfStrip(model, contents, strip);
  const y = decodeRows(contents, model, engine, rows);
  progress(0.2);
  const pixels = synthesise(model, engine, y, rows, contents.qualityCode, contents, (share) =>
    progress(0.2 + 0.8 * share),
  );
  const { width } = contents;
  const own = plane?.subarray(pixels.top * width, (pixels.top + pixels.height) * width);
  own?.forEach((value, i) => {
    pixels.data[4 * i + 3] = value;
  });
  return {
    width,
    ...pixels,
    hasAlpha: plane !== null,
    icc: contents.icc?.slice() ?? null,
    exif: contents.exif?.slice() ?? null,
    quality: 1 + contents.qualityCode / QUALITY_STEPS,
    bitsPerPixel: (8 * data.length) / (contents.height * width),
  };
}

/** Rows of latents of a strip. @param {Model} model @param {Contents} contents @param {{ index: number, count: number }} strip @returns {Rows} */
function rowsOfStrip(model, contents, { index, count }) {
  if (!(Number.isInteger(index) && Number.isInteger(count) && index >= 0 && index < count)) {
    throw new TfhError(`Expected a strip, such as 0 of 2. Received: ${index} of ${count}.`);
  }
  const { height } = model.sizes(contents.height, contents.width);
  const unit = model.hyperStride;
  const each = Math.ceil(height / count / unit) * unit;
  return { start: Math.min(index * each, height), stop: Math.min((index + 1) * each, height) };
}

/** Rows with others around them, within the picture. @param {Rows} rows @param {number} more @param {number} height @returns {Rows} */
const widened = (rows, more, height) => ({
  start: Math.max(rows.start - more, 0),
  stop: Math.min(rows.stop + more, height),
});

/**
 * Decoded latents of some rows, and of those around them that their pixels depend on.
 *
 * @param {Contents} contents
 * @param {Model} model
 * @param {Engine} engine
 * @param {Rows} rows
 * @returns {import("./latents.js").Slab}
 */
function decodeRows(contents, model, engine, rows) {
  const { height, width } = model.sizes(contents.height, contents.width);
  const run = width * model.channels;
  const unit = model.hyperStride;
  const reach = Math.ceil(model.geometries.synthesis.reach / unit) * unit;
  const needed = widened(rows, reach, height);
  const all = widened(needed, surroundings(model), height);
  const slab = (/** @type {Rows} */ { start, stop }) => {
    const data = new Float32Array((stop - start) * run);
    return { data, top: start, height: stop - start, width, channels: model.channels };
  };
  const symbols = slab(all);
  const { z, bands } = openLatents(contents, model, engine, all);
  for (const band of bands) {
    const start = Math.max(band.start, all.start);
    const stop = Math.min(band.stop, all.stop);
    const part = band.symbols.subarray((start - band.start) * run, (stop - band.start) * run);
    symbols.data.set(part, (start - all.start) * run);
  }
  // Only now: the second half of a checkerboard is predicted from rows of the next band too.
  const y = slab(needed);
  for (let { start } = needed; start < needed.stop; start += CHUNK) {
    const chunk = { start, stop: Math.min(start + CHUNK, needed.stop) };
    y.data.set(dequantise(model, engine, symbols, z, chunk), (start - needed.start) * run);
  }
  return y;
}

/**
 * What the entropy decoder makes of a file, for those who look inside.
 *
 * @param {Uint8Array} data
 * @param {Model} model
 * @param {Options} options
 * @returns {{ z: Int32Array, indexes: Int32Array, symbols: Int32Array }}
 */
export function decodeLatents(data, model, { engine, maxPixels = MAX_PIXELS }) {
  const contents = unpackFor(data, model, maxPixels);
  const { z, bands } = openLatents(contents, model, engine, { start: 0, stop: Infinity });
  const { height, width } = model.sizes(contents.height, contents.width);
  const indexes = new Int32Array(height * width * model.channels);
  const symbols = new Int32Array(indexes.length);
  for (const band of bands) {
    indexes.set(band.indexes, band.start * width * model.channels);
    symbols.set(band.symbols, band.start * width * model.channels);
  }
  return { z: z.data, indexes, symbols };
}

/** @param {Uint8Array} data @param {Model} model @param {number} maxPixels @returns {Contents} */
function unpackFor(data, model, maxPixels) {
  const contents = unpack(data, maxPixels);
  if (contents.fingerprint !== model.fingerprint) {
    throw new TfhError(
      `The file was made by the model ${contents.fingerprint}; this is ${model.name} ` +
        `(${model.fingerprint}).`,
    );
  }
  if (contents.alpha) checkPlane(contents.alpha, contents.height, contents.width);
  return contents;
}

/**
 * The hyperlatents, and a generator of the bands that have some of the rows.
 *
 * @param {Contents} contents
 * @param {Model} model
 * @param {Engine} engine
 * @param {Rows} rows
 */
function openLatents(contents, model, engine, rows) {
  const bands = checkClaims(contents, model);
  const { width, hyperHeight, hyperWidth } = model.sizes(contents.height, contents.width);
  const channels = model.zTables.rows;
  const places = Int32Array.from({ length: hyperHeight * hyperWidth * channels }, (_, i) => i % channels);
  const data = decodeValues(contents.z, places, model.zTables, contents.zStreams);
  const z = { data, height: hyperHeight, width: hyperWidth, channels };

  function* decodeBands() {
    for (const { start, stop, payload } of bands) {
      if (stop <= rows.start || start >= rows.stop) continue;
      const indexes = scaleIndexes(model, engine, z, { start, stop }, width).data;
      const symbols = decodeValues(payload, indexes, model.yTables, contents.yStreams);
      yield { start, stop, indexes, symbols };
    }
  }
  return { z, bands: decodeBands() };
}
