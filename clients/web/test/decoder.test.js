/** Decoders alone: read over the codec whose files they decode, and refused over any other. */

import assert from "node:assert/strict";
import test from "node:test";

import { decode, encode, loadModel, PlainEngine, TfhError } from "../src/index.js";
import { read, readJson } from "./support.js";

const engine = new PlainEngine();
const base = await loadModel(read("codec.safetensors"));
const bytes = read("decoder.safetensors");

/** @param {RegExp} words */
const refusal = (words) => (/** @type {unknown} */ error) => {
  assert.ok(error instanceof TfhError, String(/** @type {any} */ (error)?.stack));
  assert.match(error.message, words);
  assert.ok(!error.message.includes("\n"));
  return true;
};

test("a decoder over its codec writes the codec's files and shows them in another way", async () => {
  const model = await loadModel(bytes, { base });
  const file = read("sound.tfh");
  const [plain, other] = [await decode(file, base, { engine }), await decode(file, model, { engine })];
  assert.notDeepEqual(plain.data, other.data);
  assert.equal(model.name, "sharper");
  assert.equal(base.name, "tiny");
  assert.deepEqual(await encode(plain, 4, model, { engine }), await encode(plain, 4, base, { engine }));
});

test("without its codec it is refused, and over another", async () => {
  await assert.rejects(loadModel(bytes), refusal(/the model tiny that sharper is a decoder of. Received none/));
  const stranger = await loadModel(read("stranger.safetensors"));
  await assert.rejects(loadModel(bytes, { base: stranger }), refusal(/for files of tiny.*Received: stranger/));
  for (const none of [null, {}, "tiny", bytes]) {
    await assert.rejects(loadModel(bytes, { base: /** @type {any} */ (none) }), refusal(/Received none/));
  }
});

for (const [name, what] of Object.entries(readJson("hostile.json"))) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(loadModel(read(name), { base }), refusal(/./));
  });
}

test("a changed bit is refused", async () => {
  for (let round = 0; round < 40; round++) {
    const changed = bytes.slice();
    changed[Math.floor((bytes.length * round) / 40)] ^= 1 << round % 8;
    await assert.rejects(loadModel(changed, { base }), refusal(/./));
  }
});
