/** Pictures as PNG files, with their profile and EXIF block. */

import { concatenate } from "./container.js";
import { SIGNATURE, crc32, paeth } from "./png.js";

const KEYWORD = "ICC Profile\0\0";
const EXIF_PREFIX = "Exif\0\0";
/** Filtered rows are handed to the compressor in pieces of about so many bytes. */
const PIECE = 1 << 20;

/**
 * @typedef {object} Source
 * @property {Uint8ClampedArray} data RGBA, row by row, not premultiplied
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {boolean} hasAlpha whether the alphas are written
 * @property {Uint8Array | null} icc ICC profile
 * @property {Uint8Array | null} exif EXIF block
 */

/**
 * @param {Source} picture such as `decode` gives
 * @returns {Promise<Uint8Array>}
 */
export async function writePng(picture) {
  const { icc, exif, hasAlpha } = picture;
  const chunks = [];
  if (icc) chunks.push(chunk("iCCP", concatenate([letters(KEYWORD), await deflated([icc])])));
  if (exif) {
    const prefixed = letters(EXIF_PREFIX).every((letter, i) => exif[i] === letter);
    chunks.push(chunk("eXIf", prefixed ? exif.subarray(EXIF_PREFIX.length) : exif));
  }
  return assemble({ ...picture, step: 4, places: hasAlpha ? 4 : 3 }, chunks);
}

/**
 * @param {Uint8Array} plane [height, width]
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Uint8Array>}
 */
export function writeGreyPng(plane, width, height) {
  return assemble({ data: plane, width, height, step: 1, places: 1 }, []);
}

/**
 * Pixels of `places` values each, the first of every `step`.
 *
 * @typedef {object} Pixels
 * @property {ArrayLike<number>} data
 * @property {number} width
 * @property {number} height
 * @property {number} step
 * @property {number} places
 */

/** @type {Record<number, number>} PNG's number of a kind of picture, by values a pixel */
const KINDS = { 1: 0, 3: 2, 4: 6 };

/** @param {Pixels} pixels @param {Uint8Array[]} between chunks before the pixels */
async function assemble(pixels, between) {
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, pixels.width);
  view.setUint32(4, pixels.height);
  head.set([8, KINDS[pixels.places]], 8);
  const body = chunk("IDAT", await deflated(filtered(pixels)));
  return concatenate([SIGNATURE, chunk("IHDR", head), ...between, body, chunk("IEND", new Uint8Array(0))]);
}

/** @param {string} text @returns {number[]} */
const letters = (text) => Array.from(text, (letter) => letter.charCodeAt(0));

/** @param {string} kind @param {Uint8Array} data */
function chunk(kind, data) {
  const whole = new Uint8Array(data.length + 12);
  const view = new DataView(whole.buffer);
  view.setUint32(0, data.length);
  whole.set(letters(kind), 4);
  whole.set(data, 8);
  view.setUint32(data.length + 8, crc32(whole.subarray(4, data.length + 8)));
  return whole;
}

/**
 * The picture's rows, each by the filter that leaves the least (the sum of magnitudes): PNG's own
 * recommendation.
 *
 * @param {Pixels} pixels
 * @returns {Generator<Uint8Array>}
 */
function* filtered({ width, height, data, step, places }) {
  const run = width * places;
  const rows = Math.max(Math.floor(PIECE / (run + 1)), 1);
  let before = new Uint8Array(run);
  let row = new Uint8Array(run);
  const tries = [1, 2, 4].map((kind) => ({ kind, bytes: new Uint8Array(run), cost: 0 }));
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    const piece = new Uint8Array(count * (run + 1));
    for (let i = 0; i < count; i++) {
      let from = (top + i) * width * step;
      for (let j = 0; j < run; j += places, from += step) {
        for (let c = 0; c < places; c++) row[j + c] = data[from + c];
      }
      for (const one of tries) one.cost = applyFilter(one.kind, row, before, places, one.bytes);
      const best = tries.reduce((a, b) => (b.cost < a.cost ? b : a));
      piece[i * (run + 1)] = best.kind;
      piece.set(best.bytes, i * (run + 1) + 1);
      [before, row] = [row, before];
    }
    yield piece;
  }
}

/** @param {number} kind @param {Uint8Array} row @param {Uint8Array} before @param {number} places @param {Uint8Array} out */
function applyFilter(kind, row, before, places, out) {
  let cost = 0;
  for (let j = 0; j < row.length; j++) {
    const left = j < places ? 0 : row[j - places];
    const above = before[j];
    const guess =
      kind === 1 ? left : kind === 2 ? above : paeth(left, above, j < places ? 0 : before[j - places]);
    const rest = (row[j] - guess) & 255;
    out[j] = rest;
    cost += rest < 128 ? rest : 256 - rest;
  }
  return cost;
}

/** @param {Iterable<Uint8Array>} pieces @returns {Promise<Uint8Array>} */
async function deflated(pieces) {
  const stream = new CompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const written = (async () => {
    for (const piece of pieces) await writer.write(/** @type {BufferSource} */ (piece));
    await writer.close();
  })();
  const result = new Response(stream.readable).arrayBuffer();
  await written;
  return new Uint8Array(await result);
}
