import { TfhError } from "./errors.js";

const MAX_VARINT_BYTES = 5;

/** Takes bytes and numbers from a section, never more than it has. */
export class Reader {
  /** @param {Uint8Array} data the section */
  constructor(data) {
    this.data = data;
    this.at = 0;
  }

  /** Bytes that are left. */
  get left() {
    return this.data.length - this.at;
  }

  /**
   * @param {number} count
   * @param {string} what the section's name, for the error
   * @returns {Uint8Array} a view
   */
  take(count, what) {
    if (count > this.left) {
      throw new TfhError(
        `The file ends inside its ${what}: ${count} bytes expected, ${this.left} left. ` +
          "It is damaged or cut short.",
      );
    }
    this.at += count;
    return this.data.subarray(this.at - count, this.at);
  }

  /**
   * An unsigned LEB128 number in its shortest form, less than 2^35.
   *
   * @param {string} what
   * @returns {number}
   */
  varint(what) {
    let value = 0;
    let unit = 1;
    for (let place = 0; place < MAX_VARINT_BYTES; place++) {
      const byte = this.take(1, what)[0];
      value += (byte & 127) * unit; // a shift would be cut to 32 bits
      unit *= 128;
      if (byte < 128) {
        if (byte === 0 && place > 0) break;
        return value;
      }
    }
    throw new TfhError(`The file's ${what} is not a valid number. It is damaged.`);
  }
}

/**
 * LEB128 of a whole number from 0 to 2^35 - 1.
 *
 * @param {number} value
 * @returns {number[]} bytes
 */
export function varintBytes(value) {
  const bytes = [];
  while (value >= 128) {
    bytes.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  bytes.push(value);
  return bytes;
}
