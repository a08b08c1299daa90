/** CDF tables (docs/coding.md), checked, with what the coder needs to know of each row. */

import { TfhError } from "./errors.js";

const MAX_PRECISION = 16;

export class Tables {
  /**
   * @param {Int32Array} lookup the rows one after the other: precision, 0, ..., 2^precision
   * @param {Int32Array} minimum the value of each row's first symbol
   */
  constructor(lookup, minimum) {
    const rows = minimum.length;
    this.rows = rows;
    this.minimum = minimum;
    /** Where each row's cumulative counts begin in `counts`. */
    this.starts = new Int32Array(rows);
    /** Symbols of each row; a row of one is certain, and nothing is coded for it. */
    this.sizes = new Int32Array(rows);
    /** The most probable symbol of each row, counted from 0; the first of several. */
    this.modes = new Int32Array(rows);
    /** Cumulative counts at precision 16, which codes every symbol alike. */
    this.counts = new Int32Array(lookup.length);
    /** The share of each row's most probable symbol. */
    this.peaks = new Float64Array(rows);
    let at = 0;
    for (let row = 0; row < rows; row++) {
      at = this.#read(lookup, at, row);
    }
    if (at !== lookup.length || !rows) {
      throw new TfhError(`The model's tables have ${rows} rows, but counts for another number.`);
    }
  }

  /** @param {Int32Array} lookup @param {number} at @param {number} row @returns {number} the end */
  #read(lookup, at, row) {
    const precision = lookup[at];
    if (!(precision >= 1 && precision <= MAX_PRECISION) || lookup[at + 1] !== 0) {
      throw new TfhError(`Row ${row} of the model's tables does not begin as one should.`);
    }
    const start = at + 1;
    const total = 1 << precision;
    const shift = MAX_PRECISION - precision;
    let peak = 0;
    let i = start;
    for (; lookup[i] !== total; i++) {
      const count = lookup[i + 1] - lookup[i];
      if (!(count > 0)) {
        throw new TfhError(`The counts of row ${row} of the model's tables do not rise to ${total}.`);
      }
      if (count > peak) {
        peak = count;
        this.modes[row] = i - start;
      }
      this.counts[i] = lookup[i] << shift;
    }
    this.counts[i] = total << shift;
    this.starts[row] = start;
    this.sizes[row] = i - start;
    this.peaks[row] = peak / total;
    if (this.minimum[row] + this.sizes[row] - 1 > 0x7fffffff) {
      throw new TfhError(`The values of row ${row} of the model's tables do not fit 32 bits.`);
    }
    return i + 1;
  }

  /** Bits that one symbol of each row takes at the least, all of them together. */
  get leastBitsOfAll() {
    return -this.peaks.reduce((sum, share) => sum + Math.log2(share), 0);
  }

  /** Bits that a symbol takes at the least, whatever its row: half of it, as the coder rounds. */
  get leastBitsOfAny() {
    return -Math.log2(this.peaks.reduce((most, share) => Math.max(most, share), 0)) / 2;
  }
}
