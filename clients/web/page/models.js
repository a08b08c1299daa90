/** Models beside the page: `models/FINGERPRINT.safetensors`, or `.js` where nothing can be fetched. */

import { TfhError } from "../src/errors.js";

/**
 * Finds `models/FINGERPRINT.safetensors`, and of another decoder for that model's files
 * `models/FINGERPRINT.NAME.safetensors`.
 *
 * @param {string} base address of the folder that holds `models/`
 * @returns {import("./client.js").FindModel}
 */
export function modelsBeside(base) {
  return async (fingerprint, decoder) => {
    if (!/^[0-9a-f]{16}$/.test(fingerprint)) {
      throw new TfhError(`Expected a model's fingerprint. Received: ${fingerprint}.`);
    }
    if (decoder !== undefined && !/^[A-Za-z0-9][\w.-]{0,99}$/.test(decoder)) {
      throw new TfhError(`Expected a decoder's name. Received: ${decoder}.`);
    }
    const key = decoder === undefined ? fingerprint : `${fingerprint}.${decoder}`;
    const what = decoder === undefined ? `The model ${fingerprint}` : `The decoder ${decoder}`;
    const absent =
      decoder === undefined
        ? `The file was made by the model ${fingerprint}, which is not among those of this page`
        : `${what} is not among those of this page`;
    const address = new URL(`models/${key}.safetensors`, base);
    if (address.protocol === "file:") return fromScript(key, base, `${absent}.`);
    let answer;
    try {
      answer = await fetch(address);
    } catch {
      throw new TfhError(`${what} could not be fetched: ${address.host} does not answer.`);
    }
    if (!answer.ok) throw new TfhError(`${absent} (${answer.status}).`);
    return new Uint8Array(await answer.arrayBuffer());
  };
}

/**
 * Pages from `file://` may not fetch their neighbours, but load scripts.
 *
 * @param {string} key the file's name without its ending
 * @param {string} base
 * @param {string} absent what is said where there is none
 * @returns {Promise<Uint8Array>}
 */
async function fromScript(key, base, absent) {
  /** @type {Record<string, string>} */
  const store = /** @type {any} */ (globalThis).tfhificModels ??= {};
  const script = document.createElement("script");
  script.src = new URL(`models/${key}.js`, base).href;
  await new Promise((resolve, reject) => {
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new TfhError(absent)));
    document.head.append(script);
  });
  script.remove();
  const text = atob(store[key]);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
