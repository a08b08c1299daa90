/**
 * Convolutions, up and down, as correlations that an engine runs.
 *
 * A strided convolution is one correlation. An upsampling one is `stride` x `stride` of them, one for
 * each place that an input has in the output: place a takes the taps t of inputs i + o for which
 * a + crop - t = stride * o.
 */

/**
 * An array [height, width, channels], row by row.
 *
 * @typedef {object} Tensor
 * @property {Float32Array | Float64Array} data
 * @property {number} height
 * @property {number} width
 * @property {number} channels
 */

/**
 * One correlation: output (i, j) is the bias and the sum, over `rows` rows of `columns` neighbouring
 * inputs from (stride * i + top, stride * j + left) of the padded input on, of input times weight.
 *
 * @typedef {object} Part
 * @property {number} placeRow where output (0, 0) stands in the whole output
 * @property {number} placeColumn
 * @property {number} top
 * @property {number} left
 * @property {number} rows
 * @property {number} columns
 * @property {Float32Array | Float64Array} weights [rows, columns, inputs, outputs]
 */

/**
 * @typedef {object} Correlation
 * @property {number} inputs channels
 * @property {number} outputs channels
 * @property {number} stride from one output's inputs to the next one's
 * @property {number} step from one output of a part to the next in the whole output
 * @property {[number, number, number, number]} pads rows above and below, columns left and right
 * @property {boolean} reflect whether pads are the input's reflection, rather than zeros
 * @property {Float32Array | Float64Array} bias [outputs]
 * @property {Part[]} parts
 */

/** @typedef {{ data: Float32Array | Float64Array, shape: number[] }} Weights */

/**
 * A convolution; its kernel is [rows, columns, in, out].
 *
 * @param {Weights} kernel
 * @param {Float32Array | Float64Array} bias
 * @param {number} stride
 * @param {number[]} [pads] without them the kernel is centred
 * @param {boolean} [reflect]
 * @returns {Correlation}
 */
export function convolution(kernel, bias, stride, pads, reflect = false) {
  const [rows, columns, inputs, outputs] = kernel.shape;
  const half = (/** @type {number} */ size) => [size >> 1, (size - 1) >> 1];
  const [above, below, before, behind] = pads ?? [...half(rows), ...half(columns)];
  const part = { placeRow: 0, placeColumn: 0, top: 0, left: 0, rows, columns };
  return {
    inputs,
    outputs,
    stride,
    step: 1,
    pads: [above, below, before, behind],
    reflect,
    bias,
    parts: [{ ...part, weights: kernel.data }],
  };
}

/**
 * An upsampling convolution; its kernel is [rows, columns, out, in].
 *
 * @param {Weights} kernel
 * @param {Float32Array | Float64Array} bias
 * @param {number} stride
 * @param {number[]} [crop] rows above and columns left that are cut off; without it, half the kernel
 * @returns {Correlation}
 */
export function upsampling(kernel, bias, stride, crop) {
  const [rows, columns, outputs, inputs] = kernel.shape;
  const [above, before] = crop ?? [rows >> 1, columns >> 1];
  const down = phases(rows, stride, above);
  const across = phases(columns, stride, before);
  const parts = down.taps.flatMap((vertical, placeRow) =>
    across.taps.map((horizontal, placeColumn) => ({
      placeRow,
      placeColumn,
      top: vertical.first + down.pads[0],
      left: horizontal.first + across.pads[0],
      rows: vertical.taps.length,
      columns: horizontal.taps.length,
      weights: gather(kernel, vertical.taps, horizontal.taps),
    })),
  );
  const pads = /** @type {[number, number, number, number]} */ ([...down.pads, ...across.pads]);
  return { inputs, outputs, stride: 1, step: stride, pads, reflect: false, bias, parts };
}

/**
 * Which taps each place of an axis takes, of which inputs.
 *
 * @param {number} size of the kernel
 * @param {number} stride
 * @param {number} crop
 */
function phases(size, stride, crop) {
  const taps = Array.from({ length: stride }, (_, place) => {
    const highest = Math.floor((place + crop) / stride);
    const lowest = Math.ceil((place + crop - size + 1) / stride);
    const own = [];
    for (let input = lowest; input <= highest; input++) own.push(place + crop - stride * input);
    return { first: lowest, taps: own };
  });
  const lowest = Math.min(0, ...taps.map(({ first }) => first));
  const highest = Math.max(0, ...taps.map(({ first, taps: own }) => first + own.length - 1));
  return { taps, pads: [-lowest, highest] };
}

/** @param {Weights} kernel @param {number[]} rows @param {number[]} columns */
function gather(kernel, rows, columns) {
  const [, width, outputs, inputs] = kernel.shape;
  const Kind = kernel.data instanceof Float64Array ? Float64Array : Float32Array;
  const weights = new Kind(rows.length * columns.length * inputs * outputs);
  let at = 0;
  for (const row of rows) {
    for (const column of columns) {
      const start = (row * width + column) * outputs * inputs;
      for (let i = 0; i < inputs; i++) {
        for (let o = 0; o < outputs; o++) weights[at++] = kernel.data[start + o * inputs + i];
      }
    }
  }
  return weights;
}

/**
 * The output's height and width.
 *
 * @param {Correlation} plan
 * @param {number} height of the input
 * @param {number} width
 * @returns {[number, number]}
 */
export function outputSize(plan, height, width) {
  const { pads, parts, stride, step } = plan;
  if (step > 1) return [height * step, width * step];
  const [{ rows, columns }] = parts;
  return [
    Math.floor((height + pads[0] + pads[1] - rows) / stride) + 1,
    Math.floor((width + pads[2] + pads[3] - columns) / stride) + 1,
  ];
}

/**
 * Writes an input with its pads into memory that holds whatever it did before.
 *
 * @param {Correlation} plan
 * @param {Tensor} x
 * @param {Float32Array | Float64Array} target
 */
export function pad(plan, x, target) {
  const [above, below, left, right] = plan.pads;
  const { height, width, channels, data } = x;
  const row = (width + left + right) * channels;
  if (!plan.reflect) {
    target.fill(0, 0, above * row);
    target.fill(0, (above + height) * row, (above + height + below) * row);
    for (let i = 0; i < height; i++) {
      const at = (above + i) * row;
      target.fill(0, at, at + left * channels);
      target.set(data.subarray(i * width * channels, (i + 1) * width * channels), at + left * channels);
      target.fill(0, at + row - right * channels, at + row);
    }
    return;
  }
  const rows = reflected(height, above, below);
  const columns = reflected(width, left, right);
  let at = 0;
  for (const i of rows) {
    for (const j of columns) {
      const start = (i * width + j) * channels;
      target.set(data.subarray(start, start + channels), at);
      at += channels;
    }
  }
}

/**
 * Positions of an axis extended by reflection; a side too short for that repeats its last value.
 *
 * @param {number} size
 * @param {number} before
 * @param {number} behind
 * @returns {number[]}
 */
export function reflected(size, before, behind) {
  const fits = size > Math.max(before, behind);
  return Array.from({ length: before + size + behind }, (_, i) => {
    const position = i - before;
    if (!fits) return Math.min(Math.max(position, 0), size - 1);
    return size - 1 - Math.abs(size - 1 - Math.abs(position));
  });
}
