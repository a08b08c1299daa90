/**
 * The range coder of docs/coding.md, in doubles: no number here has more than 48 bits, and doubles
 * hold whole numbers exactly up to 2^53.
 */

import { malformed } from "./payload.js";

const WORD = 65536;
const WHOLE = WORD * WORD;

/**
 * What a finished stream stands for: of [base, base + size) the number that ends in most zero bytes.
 *
 * @param {number} base below 2^32
 * @param {number} size at least 2^16
 * @returns {number} modulo 2^32
 */
function finalValue(base, size) {
  for (const unit of [WHOLE, WORD * 256]) {
    const value = Math.ceil(base / unit) * unit;
    if (value < base + size) return value % WHOLE;
  }
  return (Math.ceil(base / WORD) * WORD) % WHOLE;
}

/**
 * Decodes one stream, by rows that are known beforehand.
 *
 * @param {Uint8Array} data the stream
 * @param {Int32Array} values in: the first value of each one's row; out: the values
 * @param {ArrayLike<number>} rows the row of each value
 * @param {import("./tables.js").Tables} tables
 * @param {Int32Array | null} coded positions of the values that are coded; null: all of them
 * @param {number} first of them, this stream's
 * @param {number} step from one of this stream's to the next
 * @throws {TfhError} when the stream is longer than its symbols need, or ends as none should
 */
export function decodeStream(data, values, rows, tables, coded, first, step) {
  const { counts, starts, sizes } = tables;
  const count = coded ? coded.length : values.length;
  const length = data.length;
  const word = (/** @type {number} */ at) =>
    ((at < length ? data[at] : 0) << 8) | (at + 1 < length ? data[at + 1] : 0);
  let value = word(0) * WORD + word(2);
  let size = WHOLE;
  let read = 4;
  for (let k = first; k < count; k += step) {
    const place = coded ? coded[k] : k;
    const row = rows[place];
    const start = starts[row];
    // Below 2^48, and the quotient is at least 2^-32 away from a whole number that it is not.
    const target = Math.floor((value * WORD + (WORD - 1)) / size);
    let low = start;
    let high = start + sizes[row];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (counts[middle] <= target) low = middle;
      else high = middle;
    }
    values[place] += low - start;
    const below = Math.floor((size * counts[low]) / WORD);
    size = Math.floor((size * counts[low + 1]) / WORD) - below;
    value -= below;
    if (size <= WORD) {
      value = value * WORD + word(read);
      size *= WORD;
      read += 2;
    }
  }
  if (length > read) {
    throw malformed(`a stream of ${length} bytes where its symbols need at most ${read}`);
  }
  const last = word(read - 4) * WORD + word(read - 2);
  const base = (last - value + WHOLE) % WHOLE;
  if (last !== finalValue(base, size)) {
    throw malformed("a stream does not end as an encoder ends it");
  }
}

/**
 * Encodes one stream.
 *
 * @param {Int32Array} symbols counted from 0 within their rows
 * @param {ArrayLike<number>} rows
 * @param {import("./tables.js").Tables} tables
 * @param {Int32Array | null} coded as in `decodeStream`
 * @param {number} first
 * @param {number} step
 * @returns {Uint8Array}
 */
export function encodeStream(symbols, rows, tables, coded, first, step) {
  const { counts, starts } = tables;
  const count = coded ? coded.length : symbols.length;
  /** @type {number[]} */
  const words = [];
  let base = 0;
  let size = WHOLE;
  for (let k = first; k < count; k += step) {
    const place = coded ? coded[k] : k;
    const at = starts[rows[place]] + symbols[place];
    const low = Math.floor((size * counts[at]) / WORD);
    size = Math.floor((size * counts[at + 1]) / WORD) - low;
    base += low;
    if (base >= WHOLE) {
      base -= WHOLE;
      carry(words);
    }
    if (size <= WORD) {
      words.push(Math.floor(base / WORD));
      base = (base % WORD) * WORD;
      size *= WORD;
    }
  }
  const end = finalValue(base, size);
  const carried = end < base;
  if (carried) carry(words);
  words.push(Math.floor(end / WORD), end % WORD);
  const bytes = new Uint8Array(2 * words.length);
  words.forEach((word, i) => bytes.set([word >> 8, word & 255], 2 * i));
  // Of the last 32 bits trailing zeros are not written; with a carry, none before them either.
  let length = bytes.length;
  const least = carried ? 0 : length - 4;
  while (length > least && bytes[length - 1] === 0) length--;
  return bytes.subarray(0, length);
}

/** Adds one to the number that the words make up. @param {number[]} words */
function carry(words) {
  let at = words.length - 1;
  while (words[at] === WORD - 1) words[at--] = 0;
  words[at]++;
}
