/** The module's parts by themselves. */

import assert from "node:assert/strict";
import test from "node:test";

import { canonicalJson } from "../src/canonical_json.js";
import { farmhash64 } from "../src/checksum.js";
import { reflected } from "../src/correlation.js";
import { TfhError } from "../src/errors.js";
import { IntegerBranch } from "../src/integer_branch.js";
import { Reader, varintBytes } from "../src/reader.js";
import { roundHalfEven } from "../src/rounding.js";
import { valuesOf } from "../src/safetensors.js";
import { decodeValues, encodeValues } from "../src/symbols.js";
import { Tables } from "../src/tables.js";
import { readJson } from "./support.js";

test("checksums are farmhash64", () => {
  for (const [hex, expected] of readJson("checksums.json")) {
    const data = Uint8Array.from(hex.match(/../g).map((/** @type {string} */ b) => parseInt(b, 16)));
    assert.equal(farmhash64(data), BigInt(expected), `${data.length} bytes`);
  }
});

test("varints come back, and longer forms are refused", () => {
  for (const value of [0, 1, 127, 128, 16383, 16384, 2 ** 31, 2 ** 32 + 5, 2 ** 35 - 1]) {
    assert.equal(new Reader(Uint8Array.from(varintBytes(value))).varint("number"), value);
  }
  for (const bytes of [[], [128], [128, 0], [129, 128, 0], [128, 128, 128, 128, 128, 1]]) {
    assert.throws(() => new Reader(Uint8Array.from(bytes)).varint("number"), TfhError);
  }
});

const LOOKUP = [16, 0, 65535, 65536, 3, 0, 1, 2, 7, 8, 16, 0, 1, 30000, 65535, 65536, 1, 0, 2];

test("values of any table come back from any number of streams", () => {
  const tables = new Tables(Int32Array.from(LOOKUP), Int32Array.from([0, -2, 5, 9]));
  assert.deepEqual([...tables.sizes], [2, 4, 4, 1]);
  assert.deepEqual([...tables.modes], [0, 2, 2, 0]);
  let state = 1;
  const next = (/** @type {number} */ below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (const count of [0, 1, 2, 7, 500, 3000]) {
    const rows = Int32Array.from({ length: count }, () => next(4));
    const values = rows.map((row) => {
      if (next(50) === 0) return next(2 ** 32) | 0;
      const likely = next(8) ? tables.modes[row] : next(tables.sizes[row]);
      return tables.minimum[row] + likely;
    });
    for (const streams of [1, 2, 8, 64, 1024]) {
      const { payload } = encodeValues(values, rows, tables, { streams });
      assert.deepEqual(decodeValues(payload, rows, tables, streams), values);
      for (const longer of [Uint8Array.of(...payload, 0), Uint8Array.of(...payload, 1)]) {
        // One byte more is another stream, or none: never these values with an error left out.
        try {
          decodeValues(longer, rows, tables, streams);
        } catch (error) {
          assert.ok(error instanceof TfhError);
        }
      }
    }
  }
});

test("carries that run through many words are coded right", () => {
  // The last symbol of a row that is nearly certain keeps the interval across a multiple of 2^32.
  const tables = new Tables(Int32Array.from([16, 0, 1, 65535, 65536]), Int32Array.from([0]));
  for (let length = 1; length < 40; length++) {
    for (const last of [0, 1, 2]) {
      const values = new Int32Array(length).fill(1);
      values[0] = 2;
      values[length - 1] = last;
      const rows = new Int32Array(length);
      const { payload } = encodeValues(values, rows, tables, { streams: 1 });
      assert.deepEqual(decodeValues(payload, rows, tables, 1), values);
    }
  }
});

test("malformed tables are refused", () => {
  for (const lookup of [[], [17, 0, 1], [1, 0, 1], [1, 1, 2], [2, 0, 3, 1, 4], [1, 0, 2, 1]]) {
    assert.throws(() => new Tables(Int32Array.from(lookup), Int32Array.from([0])), TfhError);
  }
});

test("a branch whose sums could be inexact is refused", () => {
  const layer = (/** @type {number} */ weight) => ({
    op: "conv",
    stride: 1,
    shift: 1,
    kernel: { data: Float64Array.from([weight]), shape: [1, 1, 1, 1] },
    bias: Float64Array.from([0]),
  });
  assert.ok(new IntegerBranch([layer(2 ** 28)], 4, null));
  assert.throws(() => new IntegerBranch([layer(2 ** 29)], 4, null), TfhError);
});

test("halves are rounded to even, and half-precision numbers are exact", () => {
  assert.deepEqual([0.5, 1.5, -0.5, -1.5, 2.4, -2.6].map(roundHalfEven), [0, 2, 0, -2, 2, -3]);
  const bytes = Uint8Array.from([0x00, 0x3c, 0x01, 0x00, 0xff, 0x7b, 0x00, 0xc0]);
  const values = valuesOf({ dtype: "float16", shape: [4], bytes }, Float32Array);
  assert.deepEqual([...values], [1, 2 ** -24, 65504, -2]);
});

test("JSON keeps how its numbers were written", () => {
  const text = '{"b": [1.0, 1e-05, -2, "\\u00fc\\n"], "sha256": "x", "a": {"d": null, "c": true}}';
  const expected = '{"a": {"c": true, "d": null}, "b": [1.0, 1e-05, -2, "\\u00fc\\n"]}';
  assert.equal(canonicalJson(text, "sha256"), expected);
  for (const damaged of ["", "{", '{"a"}', '{"a": }', "[1,,2]", "{1: 2}", "[".repeat(200)]) {
    assert.throws(() => canonicalJson(damaged, "sha256"), TfhError);
  }
});

test("an axis is reflected about its ends, or repeats them where it is too short", () => {
  assert.deepEqual(reflected(4, 2, 2), [2, 1, 0, 1, 2, 3, 2, 1]);
  assert.deepEqual(reflected(2, 2, 3), [0, 0, 0, 1, 1, 1, 1]);
});
