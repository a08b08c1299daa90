/** How far a network looks, and large inputs in pieces with the result of the whole. */

/** @typedef {import("./correlation.js").Tensor} Tensor */
/** @typedef {import("./network.js").Layer} Layer */

/**
 * @typedef {object} Geometry
 * @property {number} down input positions per output position, or 1
 * @property {number} up output positions per input position, or 1
 * @property {number} reach input positions beyond a piece that its output depends on
 */

/**
 * The geometry of a network that only down- or only upsamples.
 *
 * @param {Layer[]} layers
 * @param {(layer: Layer) => number[]} shape of a layer's kernel
 * @returns {Geometry}
 */
export function geometryOf(layers, shape) {
  const { far, step } = walk(layers, shape, 1);
  // Steps are products of small whole numbers and their inverses.
  const down = Math.max(Math.round(step), 1);
  const up = Math.max(Math.round(1 / step), 1);
  return { down, up, reach: Math.ceil(Math.ceil(far - 1e-6) / down) * down };
}

/** @param {Layer[]} layers @param {(layer: Layer) => number[]} shape @param {number} step */
function walk(layers, shape, step) {
  let far = 0;
  for (const layer of layers) {
    if (layer.op === "conv") {
      const [rows, columns] = shape(layer);
      const [above, , left] = layer.pads ?? [rows >> 1, 0, columns >> 1];
      far += step * Math.max(above, rows - 1 - above, left, columns - 1 - left);
      step *= layer.stride;
    } else if (layer.op === "deconv") {
      const [rows, columns] = shape(layer);
      const [above, left] = layer.crop ?? [rows >> 1, columns >> 1];
      const most = Math.max(above, rows - 1 - above, left, columns - 1 - left);
      far += (step * most) / layer.stride;
      step /= layer.stride;
    } else if (layer.op === "depthwise_conv") {
      far += step * (shape(layer)[0] >> 1);
    } else if (layer.op === "space_to_depth") {
      far += step * (layer.block - 1);
      step *= layer.block;
    } else if (layer.op === "depth_to_space") {
      step /= layer.block;
      far += step * (layer.block - 1);
    } else if (layer.op === "sum") {
      const inner = layer.branches.map((/** @type {Layer[]} */ branch) => walk(branch, shape, step));
      far += Math.max(...inner.map((/** @type {{ far: number }} */ one) => one.far));
      step = inner[0].step;
    } else if (layer.op === "residual") {
      far += walk(layer.branch, shape, step).far;
    }
  }
  return { far, step };
}

/**
 * A piece of an axis: what to run the network on, and which part of the result to keep.
 *
 * @typedef {object} Piece
 * @property {number} first input position
 * @property {number} last input position, not included
 * @property {number} skip output positions before what is kept
 * @property {number} place where that belongs in the whole output
 * @property {number} count output positions that are kept
 */

/**
 * Cuts an axis of an input into pieces.
 *
 * @param {Geometry} geometry
 * @param {number} size of the axis
 * @param {number} tile input positions a piece, at most
 * @param {number} [start] only from this input position on
 * @param {number} [stop] and up to this one
 * @returns {Piece[]}
 */
export function pieces(geometry, size, tile, start = 0, stop = size) {
  const { down, up, reach } = geometry;
  const side = Math.max(Math.floor(tile / down), 1) * down;
  const found = [];
  for (let at = start; at < stop; at += side) {
    const end = Math.min(at + side, stop);
    const first = Math.max(at - reach, 0);
    found.push({
      first,
      last: Math.min(end + reach, size),
      skip: ((at - first) * up) / down,
      place: (at * up) / down,
      count: ((end - at) * up) / down,
    });
  }
  return found;
}

/**
 * Part of an array [height, width, channels].
 *
 * @template {Float32Array | Float64Array | Int32Array} T
 * @param {{ data: T, width: number, channels: number }} x
 * @param {Piece} down
 * @param {Piece} across
 * @returns {{ data: T, height: number, width: number, channels: number }}
 */
export function region(x, down, across) {
  const height = down.last - down.first;
  const width = across.last - across.first;
  const run = width * x.channels;
  const data = /** @type {T} */ (new /** @type {any} */ (x.data).constructor(height * run));
  for (let i = 0; i < height; i++) {
    const from = ((down.first + i) * x.width + across.first) * x.channels;
    data.set(x.data.subarray(from, from + run), i * run);
  }
  return { data, height, width, channels: x.channels };
}
