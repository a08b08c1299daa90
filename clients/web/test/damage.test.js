/** Damaged and hostile files, and models: one line each, soon, and nothing else. */

import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

import { decode, decodeLatents, loadModel, PlainEngine, TfhError } from "../src/index.js";
import { modelOf, read, readJson } from "./support.js";

const engine = new PlainEngine();
const path = process.env.TFH_MODEL ?? "";
const model = await modelOf(path);
const sound = read("sound.tfh");

/** @param {unknown} error */
function isOneLine(error) {
  assert.ok(error instanceof TfhError, String(/** @type {any} */ (error)?.stack));
  assert.ok(error.message.length > 10 && !error.message.includes("\n"), error.message);
  return true;
}

/** Numbers that look random and are the same every time. @param {number} seed */
function random(seed) {
  let state = seed;
  return (/** @type {number} */ below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("the sound file decodes", async () => {
  assert.equal((await decode(sound, model, { engine })).width, 90);
});

test("every shorter file is refused", async () => {
  for (let length = 0; length < sound.length; length++) {
    await assert.rejects(decode(sound.subarray(0, length), model, { engine }), isOneLine);
  }
});

test("a changed bit is refused", async () => {
  for (let at = 0; at < sound.length; at++) {
    const changed = sound.slice();
    changed[at] ^= 1 << at % 8;
    await assert.rejects(decode(changed, model, { engine }), isOneLine);
  }
});

for (const [name, what] of Object.entries(readJson("hostile.json"))) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(decode(read(name), model, { engine }), isOneLine);
  });
}

test("of files changed beneath a checksum that fits, those are refused that Python refuses", () => {
  for (const [name, decodes] of Object.entries(readJson("mutated.json"))) {
    const decodeIt = () => decodeLatents(read(`${name}.tfh`), model, { engine });
    if (decodes) assert.ok(decodeIt().symbols.length, name);
    else assert.throws(decodeIt, isOneLine, name);
  }
});

test("what is no array of bytes is refused", async () => {
  for (const value of [null, undefined, "TFH", [84, 70, 72]]) {
    await assert.rejects(decode(/** @type {any} */ (value), model, { engine }), isOneLine);
  }
});

test("damaged models are refused", async () => {
  const bytes = new Uint8Array(fs.readFileSync(path));
  const next = random(3);
  for (let round = 0; round < 40; round++) {
    const changed = bytes.slice();
    changed[next(bytes.length)] ^= 1 << next(8);
    await assert.rejects(loadModel(changed), isOneLine);
  }
  for (const length of [0, 7, 8, 100, bytes.length >> 1, bytes.length - 1]) {
    await assert.rejects(loadModel(bytes.subarray(0, length)), isOneLine);
  }
});
