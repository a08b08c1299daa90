/** From hyperlatents to scale indexes, and from symbols to latents, for bands of rows. */

import { settle } from "./checkerboard.js";
import { pieces, region } from "./geometry.js";
import { toSymbol } from "./rounding.js";

/** @typedef {import("./correlation.js").Tensor} Tensor */
/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./engine_plain.js").Engine} Engine */
/** @typedef {{ data: Int32Array, height: number, width: number, channels: number }} Integers */
/** @typedef {{ start: number, stop: number }} Rows of latents; the start is a multiple of the hyper stride */

/** Hyperlatents a side that a network is run on at a time: a bound for memory. */
const TILE = 32;

/**
 * What a network makes of the hyperlatents, for some rows of latents.
 *
 * @template {Float32Array | Int32Array} T
 * @param {Model} model
 * @param {string} name of the geometry
 * @param {Integers} z
 * @param {Rows} rows
 * @param {number} width columns of latents
 * @param {{ new (size: number): T }} Kind
 * @param {(z: Integers) => { data: ArrayLike<number>, width: number, channels: number }} run
 * @returns {{ data: T, height: number, width: number, channels: number }}
 */
function overRows(model, name, z, rows, width, Kind, run) {
  const unit = model.hyperStride;
  const geometry = model.geometries[name];
  const height = rows.stop - rows.start;
  const first = rows.start / unit;
  /** @type {T | undefined} */
  let data;
  let channels = 0;
  for (const down of pieces(geometry, z.height, TILE, first, Math.ceil(rows.stop / unit))) {
    for (const across of pieces(geometry, z.width, TILE)) {
      const values = run(region(z, down, across));
      channels = values.channels;
      data ??= new Kind(height * width * channels);
      const count = Math.min(across.count, width - across.place);
      for (let i = 0; i < down.count; i++) {
        const row = down.place - rows.start + i;
        if (row >= height) break;
        const from = ((down.skip + i) * values.width + across.skip) * channels;
        const to = (row * width + across.place) * channels;
        for (let k = 0; k < count * channels; k++) data[to + k] = values.data[from + k];
      }
    }
  }
  return { data: data ?? new Kind(0), height, width, channels };
}

/**
 * Scale indexes of some rows of latents.
 *
 * @param {Model} model
 * @param {Engine} engine
 * @param {Integers} z all hyperlatents
 * @param {Rows} rows
 * @param {number} width columns of latents
 * @returns {Integers}
 */
export function scaleIndexes(model, engine, z, rows, width) {
  return overRows(model, "branch", z, rows, width, Int32Array, (part) =>
    model.branch.indexes(engine, part),
  );
}

/** @param {Model} model @param {Engine} engine @param {string} name @param {Integers} z @param {Rows} rows @param {number} width */
function predicted(model, engine, name, z, rows, width) {
  return overRows(model, name, z, rows, width, Float32Array, (part) =>
    model.networks[name].run(engine, { ...part, data: Float32Array.from(part.data) }),
  );
}

/** Some rows of an array, the first of which is the picture's row `top`. @typedef {Tensor & { top: number }} Slab */

/** Rows of a slab as an array of their own, a view. @param {Slab} y @param {Rows} rows @returns {Tensor} */
function rowsOf(y, rows) {
  const run = y.width * y.channels;
  const data = y.data.subarray((rows.start - y.top) * run, (rows.stop - y.top) * run);
  return { data, height: rows.stop - rows.start, width: y.width, channels: y.channels };
}

/**
 * Decoded latents of some rows.
 *
 * @param {Model} model
 * @param {Engine} engine
 * @param {Slab} symbols of the rows, and of as many around them as `surroundings` says
 * @param {Integers} z
 * @param {Rows} rows
 * @returns {ArrayLike<number>}
 */
export function dequantise(model, engine, symbols, z, rows) {
  if (model.checkerboard) return settleRows(model, engine, symbols, z, rows, 0, null).data;
  const means = predicted(model, engine, "hyper_synthesis_mean", z, rows, symbols.width).data;
  const { data } = rowsOf(symbols, rows);
  for (let i = 0; i < data.length; i++) means[i] += data[i];
  return means;
}

/** The dead zone of each latent, where the model has one. @param {Model} model @param {() => Integers} indexes */
function deadZones({ deadZone }, indexes) {
  return deadZone && Float32Array.from(indexes().data, (row) => deadZone[row]);
}

/** Rows around others that these depend on, where latents predict latents. @param {Model} model */
export function surroundings(model) {
  if (!model.checkerboard) return 0;
  const { reach } = model.geometries.context_near;
  return Math.ceil(reach / model.hyperStride) * model.hyperStride;
}

/**
 * Symbols of a band's latents; what a decoder will have is put in the latents' place.
 *
 * @param {Model} model
 * @param {Engine} engine
 * @param {Slab} y all rows: quantised before the band
 * @param {Integers} z
 * @param {Rows} band
 * @param {Integers} indexes of the band's scales
 * @returns {Int32Array}
 */
export function quantise(model, engine, y, z, band, indexes) {
  const { data } = rowsOf(y, band);
  if (model.checkerboard) {
    const symbols = new Int32Array(data.length);
    data.set(settleRows(model, engine, y, z, band, surroundings(model), symbols, indexes).data);
    return symbols;
  }
  const means = predicted(model, engine, "hyper_synthesis_mean", z, band, y.width).data;
  const symbols = new Int32Array(data.length);
  const zones = deadZones(model, () => indexes);
  for (let i = 0; i < data.length; i++) {
    symbols[i] = toSymbol(Math.fround(data[i] - means[i]), zones?.[i]);
    data[i] = symbols[i] + means[i];
  }
  return symbols;
}

/**
 * Both halves of some rows of a checkerboard.
 *
 * @param {Model} model
 * @param {Engine} engine
 * @param {Slab} y
 * @param {Integers} z
 * @param {Rows} rows
 * @param {number} known so many rows before these, where there are as many, are decoded already
 * @param {Int32Array | null} symbols takes the rows' symbols; null: `y` holds symbols
 * @param {Integers} [indexes] of the rows' scales, where they take symbols
 * @returns {Tensor} what a decoder has in the rows
 */
function settleRows(model, engine, y, z, rows, known, symbols, indexes) {
  const more = surroundings(model);
  const all = {
    start: Math.max(rows.start - more, y.top),
    stop: Math.min(rows.stop + more, y.top + y.height),
  };
  const features = predicted(model, engine, "context_features", z, all, y.width);
  const around = rowsOf(y, all);
  const latents = { ...around, data: around.data.slice(), top: all.start };
  const found = symbols ? new Float32Array(latents.data.length) : null;
  const own = all.start === rows.start && all.stop === rows.stop ? indexes : undefined;
  const zones = symbols && deadZones(model, () => own ?? scaleIndexes(model, engine, z, all, y.width));
  settle(model, engine, features, latents, all.start, Math.min(known, rows.start - all.start), found, zones);
  if (symbols && found) symbols.set(rowsOf({ ...latents, data: found }, rows).data);
  return rowsOf(latents, rows);
}
