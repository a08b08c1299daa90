/** The bundled module: everything, and an engine without further files. */

export * from "../src/index.js";
export { TfhClient } from "./client.js";
export { createEngine } from "./engine.js";
export { modelsBeside } from "./models.js";
