/** What the module offers. */

export { unpack as readHeader } from "./container.js";
export { decode, decodeLatents } from "./decode.js";
export { encode } from "./encode.js";
export { PlainEngine } from "./engine_plain.js";
export { WasmEngine } from "./engine_wasm.js";
export { TfhError } from "./errors.js";
export { loadModel, Model } from "./model.js";
export { photoMetadata } from "./photo_metadata.js";
export { writePng } from "./png_write.js";
