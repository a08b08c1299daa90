/** Pictures to `.tfh` files. */

import { joinBands, MAX_PIXELS, pack, QUALITY_STEPS } from "./container.js";
import { reflected } from "./correlation.js";
import { TfhError } from "./errors.js";
import { pieces, region } from "./geometry.js";
import { quantise, scaleIndexes } from "./latents.js";
import { writeGreyPng } from "./png_write.js";
import { toSymbol } from "./rounding.js";
import { encodeValues } from "./symbols.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */
/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./engine_plain.js").Engine} Engine */

/** So many latents a band, about: what coding takes in memory does not grow with the picture. */
const BAND_LATENTS = 1 << 21;
/** What up to four streams may add to the hyperlatents, which are some 3 % of a file. */
const HYPERLATENTS_ALLOWANCE = 0.03;
/** Pixels, and latents, a side that a network is run on at a time: a bound for memory. */
const TILE = 1536;
const HYPER_TILE = 128;

/**
 * @typedef {object} Source
 * @property {Uint8ClampedArray | Uint8Array} data RGBA, row by row, not premultiplied
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {Uint8Array | null} [icc] ICC profile
 * @property {Uint8Array | null} [exif] EXIF block
 */

/**
 * Encodes a picture; its alpha plane too, losslessly, where it is not opaque.
 *
 * @param {Source} picture such as ImageData
 * @param {number} quality 1 (smallest) to 8 (best), fractions allowed
 * @param {Model} model
 * @param {import("./decode.js").Options} options
 * @returns {Promise<Uint8Array>} the file
 * @throws {TfhError} when the picture or the quality is not so, or the picture is too large
 */
export async function encode(picture, quality, model, { engine, maxPixels = MAX_PIXELS, progress = () => {} }) {
  check(picture, quality, maxPixels);
  const { height, width } = picture;
  const code = model.singleRate ? 0 : Math.round((quality - 1) * QUALITY_STEPS);
  const y = analyse(model, engine, picture, code, (share) => progress(0.7 * share));
  const z = hyperAnalyse(model, engine, y);
  const rows = Int32Array.from(z.data, (_, i) => i % z.channels);
  const hyper = encodeValues(z.data, rows, model.zTables, { allowance: HYPERLATENTS_ALLOWANCE });
  const bandRows = rowsOfABand(model, y);
  const payloads = [];
  /** @type {number | undefined} */
  let streams;
  for (let start = 0; start < y.height; start += bandRows || y.height) {
    const band = { start, stop: Math.min(start + (bandRows || y.height), y.height) };
    const indexes = scaleIndexes(model, engine, z, band, y.width);
    const symbols = quantise(model, engine, y, z, band, indexes);
    const coded = encodeValues(symbols, indexes.data, model.yTables, { streams });
    streams = coded.streams;
    payloads.push(coded.payload);
    progress(0.7 + (0.3 * band.stop) / y.height);
  }
  return pack({
    fingerprint: model.fingerprint,
    height,
    width,
    qualityCode: code,
    zStreams: hyper.streams,
    yStreams: streams ?? 1,
    bandRows,
    z: hyper.payload,
    y: joinBands(payloads),
    alpha: await alphaOf(picture),
    icc: picture.icc ?? undefined,
    exif: picture.exif ?? undefined,
  });
}

/** @param {Source} picture @param {number} quality @param {number} maxPixels */
function check({ data, width, height }, quality, maxPixels) {
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  if (!whole || data?.length !== 4 * width * height) {
    throw new TfhError(
      `Expected a picture of RGBA pixels. Received: ${data?.length} numbers for ${width}x${height} pixels.`,
    );
  }
  if (width * height > maxPixels) {
    throw new TfhError(
      `Expected a picture of at most ${maxPixels} pixels. Received: ${width}x${height} pixels.`,
    );
  }
  if (!(quality >= 1 && quality <= 8)) {
    throw new TfhError(`Expected a quality, a number from 1 to 8. Received: ${quality}.`);
  }
}

/** The stored number of latent rows a band; 0: one band. @param {Model} model @param {Tensor} y */
function rowsOfABand(model, y) {
  const row = y.width * model.channels;
  const rows = Math.max(Math.floor(BAND_LATENTS / (row * model.hyperStride)), 1) * model.hyperStride;
  return rows >= y.height ? 0 : rows;
}

/**
 * Which positions an axis is extended to: a multiple, and at least so many.
 *
 * @param {number} size
 * @param {number} multiple
 * @param {number} least a multiple too
 */
function extension(size, multiple, least = 0) {
  const whole = Math.max(Math.ceil(size / multiple) * multiple, least);
  return reflected(size, 0, whole - size);
}

/**
 * Latents of a picture, scaled for a quality.
 *
 * @param {Model} model
 * @param {Engine} engine
 * @param {Source} picture
 * @param {number} code of the quality
 * @param {(share: number) => void} progress
 * @returns {import("./latents.js").Slab}
 */
function analyse(model, engine, picture, code, progress) {
  const least = model.minLatents * model.stride;
  const rows = extension(picture.height, model.stride, least);
  const columns = extension(picture.width, model.stride, least);
  const [low, high] = model.pixelRange;
  const gain = model.gain(model.logGain, code);
  const { height, width } = model.sizes(picture.height, picture.width);
  const { channels } = model;
  const y = new Float32Array(height * width * channels);
  const down = pieces(model.geometries.analysis, rows.length, TILE);
  const across = pieces(model.geometries.analysis, columns.length, TILE);
  const levels = Float32Array.from({ length: 256 }, (_, v) => Math.fround(v / 255) * (high - low) + low);
  let done = 0;
  for (const vertical of down) {
    for (const horizontal of across) {
      const data = new Float32Array((vertical.last - vertical.first) * (horizontal.last - horizontal.first) * 3);
      let at = 0;
      for (let i = vertical.first; i < vertical.last; i++) {
        for (let j = horizontal.first; j < horizontal.last; j++) {
          const from = (rows[i] * picture.width + columns[j]) * 4;
          for (let c = 0; c < 3; c++) data[at++] = levels[picture.data[from + c]];
        }
      }
      const size = { height: vertical.last - vertical.first, width: horizontal.last - horizontal.first };
      const values = model.networks.analysis.run(engine, { data, ...size, channels: 3 });
      for (let i = 0; i < vertical.count; i++) {
        const from = ((vertical.skip + i) * values.width + horizontal.skip) * channels;
        const to = ((vertical.place + i) * width + horizontal.place) * channels;
        for (let k = 0; k < horizontal.count * channels; k++) {
          y[to + k] = values.data[from + k] * gain[k % channels];
        }
      }
      progress(++done / (down.length * across.length));
    }
  }
  return { data: y, height, width, channels, top: 0 };
}

/** @param {Model} model @param {Engine} engine @param {Tensor} y */
function hyperAnalyse(model, engine, y) {
  const rows = extension(y.height, model.hyperStride);
  const columns = extension(y.width, model.hyperStride);
  const data = new Float32Array(rows.length * columns.length * y.channels);
  let at = 0;
  for (const i of rows) {
    for (const j of columns) {
      const from = (i * y.width + j) * y.channels;
      data.set(y.data.subarray(from, from + y.channels), at);
      at += y.channels;
    }
  }
  const whole = { data, height: rows.length, width: columns.length, channels: y.channels };
  const geometry = model.geometries.hyper_analysis;
  const channels = model.zTables.rows;
  const height = rows.length / model.hyperStride;
  const width = columns.length / model.hyperStride;
  const z = new Int32Array(height * width * channels);
  for (const down of pieces(geometry, rows.length, HYPER_TILE)) {
    for (const across of pieces(geometry, columns.length, HYPER_TILE)) {
      const values = model.networks.hyper_analysis.run(engine, region(whole, down, across));
      for (let i = 0; i < down.count; i++) {
        const from = ((down.skip + i) * values.width + across.skip) * channels;
        const to = ((down.place + i) * width + across.place) * channels;
        for (let k = 0; k < across.count * channels; k++) z[to + k] = toSymbol(values.data[from + k]);
      }
    }
  }
  return { data: z, height, width, channels };
}

/** The alpha plane as a grey PNG, where the picture is not opaque. @param {Source} picture */
async function alphaOf({ data, width, height }) {
  const plane = new Uint8Array(width * height);
  let least = 255;
  for (let i = 0; i < plane.length; i++) {
    plane[i] = data[4 * i + 3];
    least = Math.min(least, plane[i]);
  }
  return least === 255 ? undefined : writeGreyPng(plane, width, height);
}
