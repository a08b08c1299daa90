/** Layers that cost little beside the correlations, in plain JavaScript on float32 arrays. */

/** @typedef {import("./correlation.js").Tensor} Tensor */

/**
 * A function of each value, in place.
 *
 * @param {Tensor} x
 * @param {(value: number) => number} of
 * @returns {Tensor}
 */
export function each(x, of) {
  const { data } = x;
  for (let i = 0; i < data.length; i++) data[i] = of(data[i]);
  return x;
}

/** @param {Tensor} x @param {number} slope @returns {Tensor} x, changed */
export function leakyRelu(x, slope) {
  const { data } = x;
  for (let i = 0; i < data.length; i++) if (data[i] < 0) data[i] *= slope;
  return x;
}

/** @param {Tensor} x @param {number} factor @returns {Tensor} x, changed */
export function scale(x, factor) {
  const { data } = x;
  for (let i = 0; i < data.length; i++) data[i] *= factor;
  return x;
}

/** @param {Tensor} x @param {Tensor} y @returns {Tensor} x, changed */
export function add(x, y) {
  for (let i = 0; i < x.data.length; i++) x.data[i] += y.data[i];
  return x;
}

/** @param {Tensor} x @returns {Tensor} a new one */
export function magnitudes(x) {
  const data = new Float32Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = Math.abs(x.data[i]);
  return { ...x, data };
}

/**
 * The normalisation of a GDN, or its inverse.
 *
 * @param {Tensor} x changed
 * @param {Tensor} norm
 * @param {boolean} inverse
 * @returns {Tensor}
 */
export function gdn(x, norm, inverse) {
  if (inverse) for (let i = 0; i < x.data.length; i++) x.data[i] *= norm.data[i];
  else for (let i = 0; i < x.data.length; i++) x.data[i] /= norm.data[i];
  return x;
}

/**
 * Normalises every place over its channels, by the unbiased variance.
 *
 * @param {Tensor} x changed
 * @param {Float32Array} gamma
 * @param {Float32Array} beta
 * @param {number} epsilon
 * @returns {Tensor}
 */
export function channelNorm(x, gamma, beta, epsilon) {
  const { data, channels } = x;
  for (let at = 0; at < data.length; at += channels) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += data[at + c];
    const mean = sum / channels;
    let squares = 0;
    for (let c = 0; c < channels; c++) squares += (data[at + c] - mean) ** 2;
    const factor = 1 / Math.sqrt(squares / (channels - 1) + epsilon);
    for (let c = 0; c < channels; c++) data[at + c] = (data[at + c] - mean) * factor * gamma[c] + beta[c];
  }
  return x;
}

/**
 * A convolution of each channel by itself, centred and padded with zeros.
 *
 * @param {Tensor} x
 * @param {Float32Array} kernel [rows, columns, channels]
 * @param {number[]} shape the kernel's
 * @param {Float32Array} bias
 * @returns {Tensor}
 */
export function depthwise(x, kernel, [rows, columns, channels], bias) {
  const { height, width, data: source } = x;
  const data = new Float32Array(source.length);
  const sums = new Float32Array(channels);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      sums.set(bias);
      for (let a = 0; a < rows; a++) {
        const row = i + a - (rows >> 1);
        if (row < 0 || row >= height) continue;
        for (let b = 0; b < columns; b++) {
          const column = j + b - (columns >> 1);
          if (column < 0 || column >= width) continue;
          const from = (row * width + column) * channels;
          const tap = (a * columns + b) * channels;
          for (let c = 0; c < channels; c++) sums[c] += source[from + c] * kernel[tap + c];
        }
      }
      data.set(sums, (i * width + j) * channels);
    }
  }
  return { ...x, data };
}

/** @param {Tensor} x sides multiples of `block` @param {number} block @returns {Tensor} */
export function spaceToDepth(x, block) {
  const { height, width, channels, data: source } = x;
  const run = block * channels;
  const data = new Float32Array(source.length);
  let at = 0;
  for (let i = 0; i < height; i += block) {
    for (let j = 0; j < width; j += block) {
      for (let a = 0; a < block; a++, at += run) {
        const from = ((i + a) * width + j) * channels;
        data.set(source.subarray(from, from + run), at);
      }
    }
  }
  return { data, height: height / block, width: width / block, channels: run * block };
}

/** @param {Tensor} x channels a multiple of the block's places @param {number} block @returns {Tensor} */
export function depthToSpace(x, block) {
  const { height, width, channels: inputs, data: source } = x;
  const channels = inputs / block ** 2;
  const run = block * channels;
  const wide = width * block;
  const data = new Float32Array(source.length);
  let at = 0;
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      for (let a = 0; a < block; a++, at += run) {
        data.set(source.subarray(at, at + run), ((i * block + a) * wide + j * block) * channels);
      }
    }
  }
  return { data, height: height * block, width: wide, channels };
}
