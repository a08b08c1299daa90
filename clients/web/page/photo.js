/** Photos as the page takes them: pixels, and what the file says beside them. */

import { photoMetadata } from "../src/photo_metadata.js";

/** @typedef {import("../src/png_write.js").Source & { data: Uint8ClampedArray<ArrayBuffer> }} Photo */

/**
 * Decodes a photo by the browser, orientation applied.
 *
 * With a profile of RGB samples they are the file's own, and the profile is kept; else they are what
 * the browser makes sRGB of.
 *
 * @param {File} file
 * @returns {Promise<Photo>}
 * @throws {Error} when the browser can't read it
 */
export async function openPhoto(file) {
  const { icc, exif } = await photoMetadata(new Uint8Array(await file.arrayBuffer()));
  let asked = false;
  const unconverted = {
    /** Asked for only by browsers that know it; others convert, and the profile no longer fits. */
    get colorSpaceConversion() {
      asked = true;
      return /** @type {"none"} */ ("none");
    },
  };
  let bitmap;
  try {
    bitmap = await (icc ? createImageBitmap(file, unconverted) : createImageBitmap(file));
  } catch {
    throw new Error(`Expected a .tfh file or a photo. Received ${file.name}, which this browser can't read.`);
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(bitmap, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  bitmap.close();
  return { data: /** @type {any} */ (data), width, height, hasAlpha: true, icc: asked ? icc : null, exif };
}
