/**
 * What a file must hold for the picture that it claims; looked at before anything is allocated or
 * computed by its claims.
 */

import { splitBands } from "./container.js";
import { TfhError } from "./errors.js";
import { checkPayload } from "./symbols.js";

const MAX_BAND_LATENTS = 1 << 23;
/** A stream may hold so much more than its bytes: what is missing at its end is 0. */
const BYTES_PER_STREAM = 4;

/** @typedef {{ start: number, stop: number, payload: Uint8Array }} Band rows of latents, and bytes */

/**
 * @param {import("./container.js").Contents} contents
 * @param {import("./model.js").Model} model
 * @returns {Band[]}
 * @throws {TfhError} where the file can't hold its picture
 */
export function checkClaims(contents, model) {
  const { height, width, hyperHeight, hyperWidth } = model.sizes(contents.height, contents.width);
  const claim = `The file claims a picture of ${contents.width}x${contents.height} pixels, which its`;
  const holds = (/** @type {Uint8Array} */ section, /** @type {number} */ streams, bits = 0) =>
    8 * (section.length + BYTES_PER_STREAM * streams) >= bits;
  const places = hyperHeight * hyperWidth;
  if (!holds(contents.z, contents.zStreams, model.zTables.leastBitsOfAll * places)) {
    throw new TfhError(`${claim} ${contents.z.length} bytes of hyperlatents can't hold.`);
  }
  const row = width * model.channels;
  const rows = contents.bandRows || height;
  if (rows > height || (contents.bandRows && rows % model.hyperStride)) {
    throw new TfhError(`The file claims impossible bands, of ${rows} latent rows.`);
  }
  if (contents.version && rows > model.hyperStride && rows * row > MAX_BAND_LATENTS) {
    throw new TfhError(
      `The file claims a band of ${rows * row} latents, more than ${MAX_BAND_LATENTS}.`,
    );
  }
  const count = Math.ceil(height / rows);
  const bands = splitBands(contents.y, count).map((payload, i) => {
    return { start: i * rows, stop: Math.min((i + 1) * rows, height), payload };
  });
  if (!holds(contents.y, contents.yStreams * count, model.yTables.leastBitsOfAny * row * height)) {
    throw new TfhError(`${claim} ${contents.y.length} bytes of latents can't hold.`);
  }
  checkPayload(contents.z, places * model.zTables.rows, contents.zStreams);
  for (const band of bands) {
    checkPayload(band.payload, row * (band.stop - band.start), contents.yStreams);
  }
  return bands;
}
