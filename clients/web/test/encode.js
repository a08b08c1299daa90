// Encodes raw RGBA pixels, with what is kept of a photo's file:
// node test/encode.js MODEL.safetensors IN.rgba WIDTH HEIGHT QUALITY OUT.tfh [PHOTO]

import fs from "node:fs";

import { encode, photoMetadata } from "../src/index.js";
import { engines, modelOf } from "./support.js";

const [file, source, width, height, quality, target, photo] = process.argv.slice(2);
const engine = (await engines()).pop();
const data = new Uint8Array(fs.readFileSync(source));
const kept = photo ? await photoMetadata(new Uint8Array(fs.readFileSync(photo))) : {};
const size = { width: Number(width), height: Number(height) };
const options = { engine: /** @type {any} */ (engine) };
fs.writeFileSync(target, await encode({ data, ...size, ...kept }, Number(quality), await modelOf(file), options));
