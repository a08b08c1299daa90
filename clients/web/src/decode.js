/** `.tfh` files to pictures. */

import { checkPlane, decodePlane } from "./alpha_plane.js";
import { checkClaims } from "./claims.js";
import { MAX_PIXELS, QUALITY_STEPS, unpack } from "./container.js";
import { TfhError } from "./errors.js";
import { dequantise, scaleIndexes } from "./latents.js";
import { decodeValues } from "./symbols.js";
import { synthesise } from "./synthesis.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./engine_plain.js").Engine} Engine */
/** @typedef {import("./container.js").Contents} Contents */

/**
 * A picture.
 *
 * @typedef {object} Picture
 * @property {number} width pixels
 * @property {number} height pixels
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
export async function decode(data, model, { engine, maxPixels = MAX_PIXELS, progress = () => {} }) {
  const contents = unpackFor(data, model, maxPixels);
  const { height, width } = contents;
  const alpha = contents.alpha ? await decodePlane(contents.alpha, height, width) : null;
  const { z, bands } = openLatents(contents, model, engine);
  const size = model.sizes(height, width);
  const y = { ...size, channels: model.channels, data: new Float32Array(size.height * size.width * model.channels) };
  const done = [];
  for (const band of bands) {
    y.data.set(band.symbols, band.start * size.width * model.channels);
    done.push({ start: band.start, stop: band.stop });
  }
  // Only now: the second half of a checkerboard is predicted from rows of the next band too.
  for (const band of done) dequantise(model, engine, y, z, band);
  progress(0.2);
  const pixels = synthesise(model, engine, y, contents.qualityCode, height, width, (share) =>
    progress(0.2 + 0.8 * share),
  );
  if (alpha) for (let i = 0; i < alpha.length; i++) pixels[4 * i + 3] = alpha[i];
  return {
    width,
    height,
    data: pixels,
    hasAlpha: alpha !== null,
    icc: contents.icc?.slice() ?? null,
    exif: contents.exif?.slice() ?? null,
    quality: 1 + contents.qualityCode / QUALITY_STEPS,
    bitsPerPixel: (8 * data.length) / (height * width),
  };
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
  const { z, bands } = openLatents(contents, model, engine);
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

/** @param {Contents} contents @param {Model} model @param {Engine} engine */
function openLatents(contents, model, engine) {
  const bands = checkClaims(contents, model);
  const { width, hyperHeight, hyperWidth } = model.sizes(contents.height, contents.width);
  const channels = model.zTables.rows;
  const rows = Int32Array.from({ length: hyperHeight * hyperWidth * channels }, (_, i) => i % channels);
  const data = decodeValues(contents.z, rows, model.zTables, contents.zStreams);
  const z = { data, height: hyperHeight, width: hyperWidth, channels };

  function* decodeBands() {
    for (const { start, stop, payload } of bands) {
      const indexes = scaleIndexes(model, engine, z, { start, stop }, width).data;
      const symbols = decodeValues(payload, indexes, model.yTables, contents.yStreams);
      yield { start, stop, indexes, symbols };
    }
  }
  return { z, bands: decodeBands() };
}
