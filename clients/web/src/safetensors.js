/** Arrays of a safetensors file: views of its bytes, checked against its length. */

import { TfhError } from "./errors.js";

/**
 * An array as it is stored.
 *
 * @typedef {object} Stored
 * @property {string} dtype NumPy's name, such as `float16`
 * @property {number[]} shape
 * @property {Uint8Array} bytes little-endian, row-major
 */

/** @type {Record<string, [string, number]>} */
const KINDS = {
  F64: ["float64", 8],
  F32: ["float32", 4],
  F16: ["float16", 2],
  I64: ["int64", 8],
  I32: ["int32", 4],
  I16: ["int16", 2],
  I8: ["int8", 1],
  U8: ["uint8", 1],
};
const LONGEST_HEADER = 1 << 24;

/**
 * @param {Uint8Array} data the whole file
 * @returns {{ metadata: Record<string, string>, arrays: Map<string, Stored> }}
 * @throws {TfhError} when it is no such file, or damaged
 */
export function readSafetensors(data) {
  const damaged = (/** @type {string} */ why) =>
    new TfhError(`Expected a model, a .safetensors file. Received one that ${why}.`);
  if (data.length < 10) throw damaged(`has ${data.length} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const length = Number(view.getBigUint64(0, true));
  if (length > data.length - 8 || length > LONGEST_HEADER) throw damaged("is cut short");
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data.subarray(8, 8 + length)));
  } catch {
    throw damaged("has no readable header");
  }
  if (!header || typeof header !== "object") throw damaged("has no readable header");
  const body = data.subarray(8 + length);
  /** @type {Map<string, Stored>} */
  const arrays = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const kind = Object.hasOwn(KINDS, entry?.dtype) ? KINDS[entry.dtype] : undefined;
    const shape = entry?.shape;
    const [start, stop] = entry?.data_offsets ?? [];
    const whole = (/** @type {unknown} */ n) => Number.isSafeInteger(n) && Number(n) >= 0;
    if (!kind || !Array.isArray(shape) || !shape.every(whole) || !whole(start) || !whole(stop)) {
      throw damaged(`says of ${JSON.stringify(name)} what it can't`);
    }
    const size = shape.reduce((product, side) => product * side, kind[1]);
    if (stop - start !== size || stop > body.length) {
      throw damaged(`is too short for its array ${JSON.stringify(name)}`);
    }
    arrays.set(name, { dtype: kind[0], shape, bytes: body.subarray(start, stop) });
  }
  return { metadata: header.__metadata__ ?? {}, arrays };
}

/**
 * An array's values as one of JavaScript's typed arrays of numbers.
 *
 * @template {Float32Array | Float64Array | Int32Array} T
 * @param {Stored} array
 * @param {{ new (size: number): T }} Kind
 * @returns {T}
 */
export function valuesOf(array, Kind) {
  const { bytes, dtype } = array;
  const size = KINDS[Object.keys(KINDS).find((key) => KINDS[key][0] === dtype) ?? "U8"][1];
  const count = bytes.length / size;
  const values = new Kind(count);
  if (dtype === "float16") {
    const table = halves();
    for (let i = 0; i < count; i++) values[i] = table[bytes[2 * i] | (bytes[2 * i + 1] << 8)];
    return values;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  /** @type {Record<string, (at: number) => number>} */
  const readers = {
    float64: (at) => view.getFloat64(at, true),
    float32: (at) => view.getFloat32(at, true),
    int64: (at) => Number(view.getBigInt64(at, true)),
    int32: (at) => view.getInt32(at, true),
    int16: (at) => view.getInt16(at, true),
    int8: (at) => view.getInt8(at),
    uint8: (at) => view.getUint8(at),
  };
  const read = readers[dtype];
  for (let i = 0; i < count; i++) values[i] = read(i * size);
  return values;
}

/** @type {Float32Array | undefined} */
let halfValues;

/** Every half-precision number by its bits. */
function halves() {
  if (halfValues) return halfValues;
  halfValues = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    let value = (1 + fraction / 1024) * 2 ** (exponent - 15);
    if (exponent === 0) value = fraction * 2 ** -24;
    if (exponent === 31) value = fraction ? NaN : Infinity;
    halfValues[bits] = bits & 32768 ? -value : value;
  }
  return halfValues;
}
