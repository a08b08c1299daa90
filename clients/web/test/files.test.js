/** Files of the Python codec, against what it makes of them itself. */

import assert from "node:assert/strict";
import test from "node:test";

import { decode, decodeLatents } from "../src/index.js";
import { engines, exists, modelOf, read, readIntegers, readJson } from "./support.js";

/** @param {Uint8ClampedArray} rgba @param {Uint8Array} rgb */
function isClose(rgba, rgb) {
  assert.equal(rgba.length, (rgb.length / 3) * 4);
  let most = 0;
  for (let i = 0; i < rgb.length; i++) {
    most = Math.max(most, Math.abs(rgba[Math.floor(i / 3) * 4 + (i % 3)] - rgb[i]));
  }
  assert.ok(most <= 1, `pixels differ by up to ${most}`);
}

for (const engine of await engines()) {
  for (const { name, model: path, codec, height, width } of readJson("files.json")) {
    test(`${name} with ${engine.name}`, async () => {
      const model = await modelOf(path, codec);
      const data = read(`${name}.tfh`);
      if (exists(`${name}.symbols`)) {
        const latents = decodeLatents(data, model, { engine });
        for (const part of /** @type {const} */ (["z", "indexes", "symbols"])) {
          assert.deepEqual(latents[part], readIntegers(`${name}.${part}`), part);
        }
      }
      /** @type {number[]} */
      const shares = [];
      const progress = (/** @type {number} */ share) => void shares.push(share);
      const picture = await decode(data, model, { engine, progress });
      assert.deepEqual([picture.height, picture.width], [height, width]);
      assert.equal(shares.at(-1), 1);
      assert.equal(picture.bitsPerPixel, (8 * data.length) / (height * width));
      if (exists(`${name}.rgb`)) isClose(picture.data, read(`${name}.rgb`));
      // With the plain engine only where a model is small.
      if (engine.name !== "javascript" || name.startsWith("tiny")) {
        const strips = [];
        for (const index of [0, 1, 2]) {
          strips.push(await decode(data, model, { engine, strip: { index, count: 3 } }));
        }
        const rows = Uint8ClampedArray.from(strips.flatMap((strip) => [...strip.data]));
        if (exists(`${name}.rgb`)) isClose(rows, read(`${name}.rgb`));
        assert.equal(strips[1].top, strips[0].height);
      }
      const alpha = picture.data.filter((_, i) => i % 4 === 3);
      assert.equal(picture.hasAlpha, exists(`${name}.alpha`));
      if (picture.hasAlpha) assert.deepEqual(Uint8Array.from(alpha), read(`${name}.alpha`));
      else assert.ok(alpha.every((value) => value === 255));
      for (const part of /** @type {const} */ (["icc", "exif"])) {
        assert.deepEqual(picture[part], exists(`${name}.${part}`) ? read(`${name}.${part}`) : null);
      }
    });
  }
}
