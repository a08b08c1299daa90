/** The worker: reads headers, keeps models, decodes and encodes; one request at a time. */

import { decode, encode, loadModel, readHeader, TfhError, writePng } from "../src/index.js";
import { createEngine } from "./engine.js";

/** @typedef {import("../src/model.js").Model} Model */

const engine = createEngine();
/** @type {Map<string, Model>} */
const models = new Map();

/** @param {string} key a fingerprint, with a decoder's name behind it where it is not the model's own @returns {Model} */
function known(key) {
  const model = models.get(key);
  if (!model) throw new TfhError(`Expected a model that was loaded. Received: ${key}.`);
  return model;
}

/** @type {Record<string, (request: any, progress: (share: number) => void) => Promise<any>>} */
const actions = {
  header: async ({ bytes, maxPixels }) => {
    const { fingerprint, width, height } = readHeader(bytes, maxPixels);
    return { fingerprint, width, height };
  },
  load: async ({ bytes, key, base }) => {
    const model = await loadModel(bytes, base === undefined ? {} : { base: known(base) });
    models.set(key, model);
    return { fingerprint: model.fingerprint, name: model.name };
  },
  decode: async ({ bytes, key, maxPixels, strip }, progress) => {
    const model = known(key);
    const picture = await decode(bytes, model, { engine: await engine, maxPixels, progress, strip });
    return { ...picture, model: model.name, fingerprint: model.fingerprint };
  },
  encode: async ({ picture, quality, fingerprint }, progress) => {
    return encode(picture, quality, known(fingerprint), { engine: await engine, progress });
  },
  png: async ({ picture }) => writePng(picture),
};

self.addEventListener("message", async ({ data: { id, action, request } }) => {
  const post = /** @type {(message: any, transfer?: Transferable[]) => void} */ (self.postMessage);
  try {
    const result = await actions[action](request, (share) => post.call(self, { id, share }));
    const buffer = result?.data?.buffer ?? result?.buffer;
    post.call(self, { id, result }, buffer ? [buffer] : []);
  } catch (error) {
    const expected = error instanceof TfhError;
    const text = /** @type {any} */ (error)?.message ?? error;
    post.call(self, { id, error: expected ? text : `This browser could not do it: ${text}` });
  }
});
