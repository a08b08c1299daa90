/** Models beside the page: `models/FINGERPRINT.safetensors`, or `.js` where nothing can be fetched. */

import { TfhError } from "../src/errors.js";

/**
 * @param {string} base address of the folder that holds `models/`
 * @returns {import("./client.js").FindModel}
 */
export function modelsBeside(base) {
  return async (fingerprint) => {
    if (!/^[0-9a-f]{16}$/.test(fingerprint)) {
      throw new TfhError(`Expected a model's fingerprint. Received: ${fingerprint}.`);
    }
    const address = new URL(`models/${fingerprint}.safetensors`, base);
    if (address.protocol === "file:") return fromScript(fingerprint, base);
    let answer;
    try {
      answer = await fetch(address);
    } catch {
      throw new TfhError(`The model ${fingerprint} could not be fetched: ${address.host} does not answer.`);
    }
    if (!answer.ok) {
      throw new TfhError(
        `The file was made by the model ${fingerprint}, which is not among those of this page ` +
          `(${answer.status}).`,
      );
    }
    return new Uint8Array(await answer.arrayBuffer());
  };
}

/**
 * Pages from `file://` may not fetch their neighbours, but load scripts.
 *
 * @param {string} fingerprint
 * @param {string} base
 * @returns {Promise<Uint8Array>}
 */
async function fromScript(fingerprint, base) {
  /** @type {Record<string, string>} */
  const store = /** @type {any} */ (globalThis).tfhificModels ??= {};
  const script = document.createElement("script");
  script.src = new URL(`models/${fingerprint}.js`, base).href;
  await new Promise((resolve, reject) => {
    script.addEventListener("load", resolve);
    script.addEventListener("error", () =>
      reject(
        new TfhError(
          `The file was made by the model ${fingerprint}, which is not among those of this page.`,
        ),
      ),
    );
    document.head.append(script);
  });
  script.remove();
  const text = atob(store[fingerprint]);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
