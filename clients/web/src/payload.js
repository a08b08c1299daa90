/** The frame around the streams of a payload (docs/coding.md): their lengths, the escape list. */

import { concatenate } from "./container.js";
import { TfhError } from "./errors.js";
import { Reader, varintBytes } from "./reader.js";

const ESCAPES = 0x80;
const RESERVED = 0x60;
const WIDTH = 0x1f;

/** @param {string} what @returns {TfhError} */
export const malformed = (what) => new TfhError(`The file's latents can't be decoded: ${what}.`);

/**
 * @param {Uint8Array} payload all of it
 * @param {number} streams how many it has
 * @returns {{ streams: Uint8Array[], escapes: Uint8Array | null }}
 * @throws {TfhError} when it is too short for what its lengths say, or they are not written as
 *   they should be
 */
export function split(payload, streams) {
  if (!payload.length) throw malformed("a payload has no bytes");
  const reader = new Reader(payload);
  const first = reader.take(1, "latents")[0];
  const width = first & WIDTH;
  if (first & RESERVED || (streams === 1 && width)) {
    throw malformed(`a payload begins with ${first}, which means nothing`);
  }
  let escapes = null;
  if (first & ESCAPES) {
    const length = reader.varint("escape list's length");
    if (length < 1 || length > reader.left) {
      throw malformed(`an escape list of ${length} bytes where ${reader.left} are left`);
    }
    escapes = reader.take(length, "escape list");
  }
  if (streams === 1) return { streams: [reader.take(reader.left, "latents")], escapes };
  const base = reader.varint("shortest stream's length");
  const packed = reader.take(Math.ceil(((streams - 1) * width) / 8), "streams' lengths");
  const lengths = unpackLengths(packed, streams - 1, width);
  const total = lengths.reduce((sum, more) => sum + base + more, 0);
  if (total > reader.left) {
    throw malformed(`streams of ${total} bytes where ${reader.left} are left`);
  }
  const found = lengths.map((more) => reader.take(base + more, "latents"));
  found.push(reader.take(reader.left, "latents"));
  return { streams: found, escapes };
}

/** @param {number} value a whole number @returns {number} */
const bitLength = (value) => (value ? value.toString(2).length : 0);

/** @param {Uint8Array} packed @param {number} count @param {number} width @returns {number[]} */
function unpackLengths(packed, count, width) {
  const bit = (/** @type {number} */ at) => (packed[at >> 3] >> (7 - (at & 7))) & 1;
  const lengths = [];
  let least = Infinity;
  let most = 0;
  for (let i = 0; i < count; i++) {
    let value = 0;
    for (let place = 0; place < width; place++) value = 2 * value + bit(i * width + place);
    lengths.push(value);
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  let fits = least === 0 && bitLength(most) === width;
  for (let at = count * width; at < packed.length * 8; at++) fits = fits && !bit(at);
  if (!fits) throw malformed("the streams' lengths are not written in the fewest bits");
  return lengths;
}

/**
 * The inverse of `split`.
 *
 * @param {Uint8Array[]} streams at least one
 * @param {number[]} escapes the escape list, which may be empty
 * @returns {Uint8Array}
 */
export function join(streams, escapes) {
  const lengths = streams.slice(0, -1).map((stream) => stream.length);
  const base = lengths.length ? Math.min(...lengths) : 0;
  const most = lengths.length ? Math.max(...lengths) - base : 0;
  const width = bitLength(most);
  const packed = new Uint8Array(Math.ceil((lengths.length * width) / 8));
  lengths.forEach((length, i) => {
    for (let place = 0; place < width; place++) {
      const at = i * width + place;
      const bit = Math.floor((length - base) / 2 ** (width - 1 - place)) & 1;
      packed[at >> 3] |= bit << (7 - (at & 7));
    }
  });
  return concatenate([
    [width | (escapes.length ? ESCAPES : 0)],
    escapes.length ? varintBytes(escapes.length) : [],
    escapes,
    lengths.length ? varintBytes(base) : [],
    packed,
    ...streams,
  ]);
}
