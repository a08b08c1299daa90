// Encodes raw RGBA pixels: node test/encode.js MODEL.safetensors IN.rgba WIDTH HEIGHT QUALITY OUT.tfh

import fs from "node:fs";

import { encode } from "../src/index.js";
import { engines, modelOf } from "./support.js";

const [file, source, width, height, quality, target] = process.argv.slice(2);
const engine = (await engines()).pop();
const data = new Uint8Array(fs.readFileSync(source));
const size = { width: Number(width), height: Number(height) };
const options = { engine: /** @type {any} */ (engine) };
fs.writeFileSync(target, await encode({ data, ...size }, Number(quality), await modelOf(file), options));
