/** Whole payloads: values to bytes by frozen tables, and back (docs/coding.md). */

import { applyEscapes, readEscapes, writeEscapes } from "./escapes.js";
import { join, malformed, split } from "./payload.js";
import { decodeStream, encodeStream } from "./range_coder.js";

/** @typedef {import("./tables.js").Tables} Tables */

const BYTES_PER_STREAM = 1.25;
const BYTES_FOR_SEVERAL = 2;
const ALLOWANCE = 0.005;
const MOST_STREAMS = 512;
const FEW_STREAMS = 4;

/**
 * @param {Uint8Array} payload exactly
 * @param {ArrayLike<number>} rows of the tables, the one of each value
 * @param {Tables} tables
 * @param {number} streams that the values were dealt to
 * @returns {Int32Array} the values
 * @throws {TfhError} when the payload is not one of so many values
 */
export function decodeValues(payload, rows, tables, streams) {
  const parts = split(payload, streams);
  const values = new Int32Array(rows.length);
  for (let i = 0; i < values.length; i++) values[i] = tables.minimum[rows[i]];
  const coded = codedPositions(rows, tables);
  parts.streams.forEach((stream, i) =>
    decodeStream(stream, values, rows, tables, coded, i, streams),
  );
  if (parts.escapes) applyEscapes(values, rows, tables, parts.escapes);
  return values;
}

/**
 * Refuses what can't be a payload of so many values, whatever their tables are; decodes nothing.
 *
 * @param {Uint8Array} payload
 * @param {number} count of values
 * @param {number} streams
 */
export function checkPayload(payload, count, streams) {
  const parts = split(payload, streams);
  // A symbol makes the decoder read two bytes at most, behind the first four.
  const longest = 4 + 2 * Math.ceil(count / streams);
  for (const stream of parts.streams) {
    if (stream.length > longest) {
      throw malformed(`a stream of ${stream.length} bytes where ${longest} are the most`);
    }
  }
  if (parts.escapes) readEscapes(parts.escapes, count);
}

/**
 * @param {Int32Array} values
 * @param {ArrayLike<number>} rows
 * @param {Tables} tables
 * @param {{ streams?: number, allowance?: number }} [options] how many streams; without it, as many
 *   as add no more than `allowance` of the payload's size
 * @returns {{ payload: Uint8Array, streams: number }}
 */
export function encodeValues(values, rows, tables, options = {}) {
  const escapes = writeEscapes(values, rows, tables);
  const symbols = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const symbol = values[i] - tables.minimum[rows[i]];
    const inside = symbol >= 0 && symbol < tables.sizes[rows[i]];
    symbols[i] = inside ? symbol : tables.modes[rows[i]];
  }
  const coded = codedPositions(rows, tables);
  const streams =
    options.streams ??
    chooseStreams(bytesOf(symbols, rows, tables) + escapes.length, options.allowance ?? ALLOWANCE);
  const parts = Array.from({ length: streams }, (_, i) =>
    encodeStream(symbols, rows, tables, coded, i, streams),
  );
  return { payload: join(parts, escapes), streams };
}

/**
 * Positions of the values that are coded; null where all of them are.
 *
 * @param {ArrayLike<number>} rows
 * @param {Tables} tables
 * @returns {Int32Array | null}
 */
function codedPositions(rows, tables) {
  if (!tables.sizes.includes(1)) return null;
  const positions = new Int32Array(rows.length);
  let count = 0;
  for (let i = 0; i < rows.length; i++) {
    if (tables.sizes[rows[i]] > 1) positions[count++] = i;
  }
  return positions.subarray(0, count);
}

/** @param {Int32Array} symbols @param {ArrayLike<number>} rows @param {Tables} tables */
function bytesOf(symbols, rows, tables) {
  let bits = 0;
  for (let i = 0; i < symbols.length; i++) {
    const at = tables.starts[rows[i]] + symbols[i];
    bits += 16 - Math.log2(tables.counts[at + 1] - tables.counts[at]);
  }
  return bits / 8;
}

/** @param {number} bytes of a payload @param {number} allowance for up to four streams */
function chooseStreams(bytes, allowance) {
  let streams = 1;
  while (streams < MOST_STREAMS) {
    const more = 2 * streams;
    const share = more <= FEW_STREAMS ? allowance : ALLOWANCE;
    if (bytes < ((more - 1) * BYTES_PER_STREAM + BYTES_FOR_SEVERAL) / share) break;
    streams = more;
  }
  return streams;
}
