/**
 * The checksum of a file: farmhash64, the `farmhashna` variant of `Hash64` without a seed
 * (G. Pike, "FarmHash"). 64-bit words are BigInts.
 */

const MASK = (1n << 64n) - 1n;
const K0 = 0xc3a5c85c97cb3127n;
const K1 = 0xb492b66fbe98f273n;
const K2 = 0x9ae16a3b2f90404fn;

const rotate = (/** @type {bigint} */ value, /** @type {bigint} */ by) => {
  value &= MASK;
  return (value >> by) | ((value << (64n - by)) & MASK);
};

const mix = (/** @type {bigint} */ value) => value ^ (value >> 47n);

/** @param {bigint} u @param {bigint} v @param {bigint} factor */
function pair(u, v, factor) {
  const a = mix(((u ^ v) * factor) & MASK);
  const b = mix(((v ^ a) * factor) & MASK);
  return (b * factor) & MASK;
}

/** @param {DataView} view @param {number} size from 1 to 64 */
function short(view, size) {
  const word = (/** @type {number} */ at) => view.getBigUint64(at, true);
  const factor = (K2 + 2n * BigInt(size)) & MASK;
  if (size > 16) {
    const a = word(0) * (size <= 32 ? K1 : K2);
    const b = word(8);
    const c = word(size - 8) * factor;
    const d = word(size - 16) * K2;
    const y = (rotate(a + b, 43n) + rotate(c, 30n) + d) & MASK;
    const z = pair(y, (a + rotate(b + K2, 18n) + c) & MASK, factor);
    if (size <= 32) return z;
    const e = word(16) * factor;
    const f = word(24);
    const g = (y + word(size - 32)) * factor;
    const h = (z + word(size - 24)) * factor;
    const first = (rotate(e + f, 43n) + rotate(g, 30n) + h) & MASK;
    return pair(first, (e + rotate(f + a, 18n) + g) & MASK, factor);
  }
  if (size >= 8) {
    const a = (word(0) + K2) & MASK;
    const b = word(size - 8);
    const c = (rotate(b, 37n) * factor + a) & MASK;
    return pair(c, ((rotate(a, 25n) + b) * factor) & MASK, factor);
  }
  if (size >= 4) {
    const first = BigInt(view.getUint32(0, true));
    const last = BigInt(view.getUint32(size - 4, true));
    return pair(BigInt(size) + (first << 3n), last, factor);
  }
  const y = BigInt(view.getUint8(0) + (view.getUint8(size >> 1) << 8));
  const z = BigInt(size + (view.getUint8(size - 1) << 2));
  return (mix(((y * K2) & MASK) ^ ((z * K0) & MASK)) * K2) & MASK;
}

/**
 * The hash of more than 64 bytes: rounds of eight words over seven words of state.
 *
 * @param {DataView} view
 * @param {number} size
 */
function long(view, size) {
  let x = (81n * K2 + view.getBigUint64(0, true)) & MASK;
  let y = (81n * K1 + 113n) & MASK;
  let z = (mix((y * K2 + 113n) & MASK) * K2) & MASK;
  let v0 = 0n;
  let v1 = 0n;
  let w0 = 0n;
  let w1 = 0n;

  /** @param {number} at @param {bigint} factor @param {bigint} weight */
  function round(at, factor, weight) {
    const word = (/** @type {number} */ place) => view.getBigUint64(at + 8 * place, true);
    x = rotate(x + y + v0 + word(1), 37n) * factor;
    y = rotate(y + v1 + word(6), 42n) * factor;
    x = (x & MASK) ^ ((w1 * weight) & MASK);
    y = (y + v0 * weight + word(5)) & MASK;
    z = (rotate(z + w0, 33n) * factor) & MASK;
    [v0, v1] = weak(at, (v1 * factor) & MASK, (x + w0) & MASK);
    [w0, w1] = weak(at + 32, (z + w1) & MASK, (y + word(2)) & MASK);
    [x, z] = [z, x];
  }

  /** @param {number} at @param {bigint} a @param {bigint} b @returns {[bigint, bigint]} */
  function weak(at, a, b) {
    a += view.getBigUint64(at, true);
    const last = view.getBigUint64(at + 24, true);
    b = rotate(b + a + last, 21n);
    const c = a;
    a += view.getBigUint64(at + 8, true) + view.getBigUint64(at + 16, true);
    b += rotate(a, 44n);
    return [(a + last) & MASK, (b + c) & MASK];
  }

  const whole = Math.floor((size - 1) / 64);
  for (let i = 0; i < whole; i++) round(64 * i, K1, 1n);
  const factor = (K1 + ((z & 255n) << 1n)) & MASK;
  w0 = (w0 + BigInt((size - 1) % 64)) & MASK;
  v0 = (v0 + w0) & MASK;
  w0 = (w0 + v0) & MASK;
  round(size - 64, factor, 9n);
  const left = pair(v0, w0, factor) + mix(y) * K0 + z;
  const right = pair(v1, w1, factor) + x;
  return pair(left & MASK, right & MASK, factor);
}

/**
 * @param {Uint8Array} data
 * @returns {bigint} the 64-bit hash
 */
export function farmhash64(data) {
  if (!data.length) return K2;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return data.length > 64 ? long(view, data.length) : short(view, data.length);
}
