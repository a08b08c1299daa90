/** The escape list of a payload: values that are not in their table's row. */

import { malformed } from "./payload.js";
import { Reader, varintBytes } from "./reader.js";

/** @typedef {import("./tables.js").Tables} Tables */

/**
 * The escaped values' positions, rising, and their excesses, each two numbers after the other.
 *
 * @param {Uint8Array} list at least one byte
 * @param {number} count of the values that the payload holds
 * @returns {number[]}
 */
export function readEscapes(list, count) {
  const reader = new Reader(list);
  const found = [];
  let position = -1;
  while (reader.left) {
    position += reader.varint("escape list") + 1;
    if (position >= count) {
      throw malformed(`an escape at position ${position} of ${count} values`);
    }
    if (!reader.left) throw malformed("an escape list ends within a pair");
    found.push(position, reader.varint("escape list"));
  }
  return found;
}

/**
 * Puts the escaped values in the place of their stand-ins.
 *
 * @param {Int32Array} values as the streams gave them
 * @param {ArrayLike<number>} rows the row of each
 * @param {Tables} tables
 * @param {Uint8Array} list
 */
export function applyEscapes(values, rows, tables, list) {
  const pairs = readEscapes(list, values.length);
  for (let i = 0; i < pairs.length; i += 2) {
    const position = pairs[i];
    const excess = pairs[i + 1];
    const row = rows[position];
    const first = tables.minimum[row];
    if (values[position] !== first + tables.modes[row]) {
      throw malformed("an escaped value's stand-in is not its row's most probable symbol");
    }
    const away = Math.floor(excess / 2) + 1;
    const value = excess % 2 ? first - away : first + tables.sizes[row] - 1 + away;
    if (value !== (value | 0)) throw malformed("an escaped value does not fit 32 bits");
    values[position] = value;
  }
}

/**
 * The list of what is outside its row.
 *
 * @param {Int32Array} values
 * @param {ArrayLike<number>} rows
 * @param {Tables} tables
 * @returns {number[]} bytes
 */
export function writeEscapes(values, rows, tables) {
  const list = [];
  let before = -1;
  for (let i = 0; i < values.length; i++) {
    const first = tables.minimum[rows[i]];
    const last = first + tables.sizes[rows[i]] - 1;
    const value = values[i];
    if (value >= first && value <= last) continue;
    const excess = value > last ? 2 * (value - last - 1) : 2 * (first - value - 1) + 1;
    list.push(...varintBytes(i - before - 1), ...varintBytes(excess));
    before = i;
  }
  return list;
}
