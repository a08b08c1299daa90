/** Files changed beneath checksums that fit: what Python decodes is decoded alike, the rest refused. */

import assert from "node:assert/strict";
import test from "node:test";

import { decode, PlainEngine, TfhError } from "../src/index.js";
import { modelOf, read, readJson } from "./support.js";

/** Seconds that no small file takes, on a busy machine either. */
const PATIENCE = 30;
/** KiB of the whole process, Node.js, model and the files themselves included. */
const MOST_MEMORY = 700 * 1024;

const engine = new PlainEngine();
const model = await modelOf(process.env.TFH_MODEL ?? "");
const files = read("changed.bin");
const shown = read("changed.rgba");
/** @type {any[]} */
const entries = readJson("changed.json");

/** What is wrong with what becomes of a file; "" if nothing is. @param {any} entry @returns {Promise<string>} */
async function judge(entry) {
  const data = files.subarray(entry.at, entry.at + entry.length);
  let picture;
  try {
    picture = await decode(data, model, { engine });
  } catch (error) {
    if (!(error instanceof TfhError)) return `no error of ours: ${/** @type {any} */ (error)?.stack}`;
    if (error.message.includes("\n")) return `several lines: ${error.message}`;
    return "refused" in entry ? "" : `refused, which Python decodes: ${error.message}`;
  }
  if ("refused" in entry) return `decoded, which Python refuses: ${entry.refused}`;
  if (picture.width !== entry.width || picture.height !== entry.height) return "of another size";
  if (picture.hasAlpha !== entry.hasAlpha) return "with or without alpha";
  for (const part of /** @type {const} */ (["icc", "exif"])) {
    const own = picture[part] && Buffer.from(picture[part]).toString("hex");
    if (own !== entry[part]) return `another ${part}`;
  }
  for (let i = 0; i < picture.data.length; i++) {
    const apart = Math.abs(picture.data[i] - shown[entry.shown + i]);
    if (apart > (i % 4 === 3 ? 0 : 1)) return `sample ${i} differs by ${apart}`;
  }
  return "";
}

test("changed files are decoded as Python does, or refused as by Python", async () => {
  const wrong = [];
  for (const [number, entry] of entries.entries()) {
    const start = performance.now();
    const fault = await judge(entry);
    const seconds = (performance.now() - start) / 1000;
    if (fault) wrong.push(`file ${number}: ${fault}`);
    if (seconds > PATIENCE) wrong.push(`file ${number} took ${seconds.toFixed(1)} s`);
  }
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${entries.length}`);
});

test("no changed file made memory grow", () => {
  const most = process.resourceUsage().maxRSS - (files.length + shown.length) / 1024;
  assert.ok(most < MOST_MEMORY, `${Math.round(most / 1024)} MiB`);
});
