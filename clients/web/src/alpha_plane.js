/** The alpha plane of a file: a grey PNG of the picture's size, and nothing else in it. */

import { concatenate } from "./container.js";
import { TfhError } from "./errors.js";
import { inflateInto } from "./inflate.js";
import { SIGNATURE, crc32, paeth } from "./png.js";

const MAX_CHUNKS = 65536;
/** 8 bits, grey, the only compression and filters there are, not interlaced. */
const HEAD_END = [8, 0, 0, 0, 0];

/** @param {string} why */
const unreadable = (why) => new TfhError(`The file's alpha plane can't be read: ${why}.`);

/**
 * Looks at what a plane consists of, without decoding it.
 *
 * @param {Uint8Array} data
 * @param {number} height of the picture
 * @param {number} width
 * @returns {Uint8Array[]} the compressed data, views
 * @throws {TfhError} when there is anything else than IHDR, IDAT (one or several) and IEND
 */
export function checkPlane(data, height, width) {
  if (SIGNATURE.some((byte, i) => data[i] !== byte)) throw unreadable("it is no PNG");
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  /** @type {Uint8Array[]} */
  const parts = [];
  let at = SIGNATURE.length;
  for (let count = 0; ; count++) {
    if (count === MAX_CHUNKS + 2) throw unreadable("it has too many chunks");
    if (at + 12 > data.length) throw unreadable("it is cut short");
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...data.subarray(at + 4, at + 8));
    if (length > data.length - at - 12) throw unreadable("it is cut short");
    const body = data.subarray(at + 8, at + 8 + length);
    if (crc32(data.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) {
      throw unreadable("a chunk's checksum does not fit");
    }
    at += 12 + length;
    if (count === 0) {
      if (kind !== "IHDR" || length !== 13) throw unreadable("its header is damaged");
      const own = [view.getUint32(16), view.getUint32(20)];
      if (own[0] !== width || own[1] !== height) {
        throw unreadable(`it has ${own[0]}x${own[1]} pixels, its picture ${width}x${height}`);
      }
      if (HEAD_END.some((byte, i) => body[8 + i] !== byte)) {
        throw unreadable("it is not grey, of 8 bits and without interlacing");
      }
    } else if (kind === "IDAT") {
      parts.push(body);
    } else if (kind === "IEND" && parts.length && !length && at === data.length) {
      return parts;
    } else {
      throw unreadable("it is cut short, or has more in it than an alpha plane");
    }
  }
}

/**
 * Decodes a plane.
 *
 * @param {Uint8Array} data
 * @param {number} height
 * @param {number} width
 * @returns {Promise<Uint8Array>} [height, width]
 */
export async function decodePlane(data, height, width) {
  const parts = checkPlane(data, height, width);
  const raw = new Uint8Array(height * (width + 1));
  const { size, end } = await inflateInto(concatenate(parts), raw);
  if (end === "more") throw unreadable("it holds more than its picture");
  if (end === "damaged") throw unreadable("it is damaged");
  if (size !== raw.length) throw unreadable("it holds less than its picture");
  const plane = new Uint8Array(height * width);
  for (let i = 0; i < height; i++) {
    const filter = raw[i * (width + 1)];
    if (filter > 4) throw unreadable("it has a filter that PNG does not know");
    const from = i * (width + 1) + 1;
    const to = i * width;
    for (let j = 0; j < width; j++) {
      const left = j ? plane[to + j - 1] : 0;
      const above = i ? plane[to - width + j] : 0;
      const corner = i && j ? plane[to - width + j - 1] : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = above;
      else if (filter === 3) guess = (left + above) >> 1;
      else if (filter === 4) guess = paeth(left, above, corner);
      plane[to + j] = raw[from + j] + guess;
    }
  }
  return plane;
}
