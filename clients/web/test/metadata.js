// What is kept of photos, one JSON line each: node test/metadata.js PHOTO...

import fs from "node:fs";

import { photoMetadata } from "../src/index.js";

/** @param {Uint8Array | null} bytes */
const hex = (bytes) => bytes && Buffer.from(bytes).toString("hex");

for (const file of process.argv.slice(2)) {
  const { icc, exif } = await photoMetadata(new Uint8Array(fs.readFileSync(file)));
  console.log(JSON.stringify({ icc: hex(icc), exif: hex(exif) }));
}
