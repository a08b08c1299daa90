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

/** The rows of an array as one of their own. @param {Tensor} y @param {Rows} rows @returns {Tensor} */
function rowsOf(y, rows) {
  const run = y.width * y.channels;
  const data = y.data.subarray(rows.start * run, rows.stop * run);
  return { data, height: rows.stop - rows.start, width: y.width, channels: y.channels };
}

/**
 * Decoded latents in the place of a band's symbols.
 *
 * @param {Model} model
 * @param {Engine} engine
 * @param {Tensor} y all rows: decoded before the band, symbols from it on
 * @param {Integers} z
 * @param {Rows} band
 */
export function dequantise(model, engine, y, z, band) {
  if (model.checkerboard) {
    settleBand(model, engine, y, z, band, false);
    return;
  }
  const means = predicted(model, engine, "hyper_synthesis_mean", z, band, y.width).data;
  const { data } = rowsOf(y, band);
  for (let i = 0; i < data.length; i++) data[i] += means[i];
}

/**
 * Symbols of a band's latents; what a decoder will have is put in the latents' place.
 *
 * @param {Model} model
 * @param {Engine} engine
 * @param {Tensor} y all rows: quantised before the band
 * @param {Integers} z
 * @param {Rows} band
 * @returns {Int32Array}
 */
export function quantise(model, engine, y, z, band) {
  if (model.checkerboard) {
    return Int32Array.from(settleBand(model, engine, y, z, band, true));
  }
  const means = predicted(model, engine, "hyper_synthesis_mean", z, band, y.width).data;
  const { data } = rowsOf(y, band);
  const symbols = new Int32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    symbols[i] = toSymbol(Math.fround(data[i] - means[i]));
    data[i] = symbols[i] + means[i];
  }
  return symbols;
}

/** @param {Model} model @param {Engine} engine @param {Tensor} y @param {Integers} z @param {Rows} band @param {boolean} encode */
function settleBand(model, engine, y, z, band, encode) {
  const unit = model.hyperStride;
  const more = Math.ceil(model.geometries.context_near.reach / unit) * unit;
  const rows = { start: Math.max(band.start - more, 0), stop: Math.min(band.stop + more, y.height) };
  const features = predicted(model, engine, "context_features", z, rows, y.width);
  const around = rowsOf(y, rows);
  const latents = { ...around, data: around.data.slice() };
  const symbols = encode ? new Float32Array(latents.data.length) : null;
  settle(model, engine, features, latents, rows.start, band.start - rows.start, symbols);
  const own = { start: band.start - rows.start, stop: band.stop - rows.start };
  rowsOf(y, band).data.set(rowsOf(latents, own).data);
  return symbols ? rowsOf({ ...latents, data: symbols }, own).data : new Float32Array(0);
}
