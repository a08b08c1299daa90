/**
 * EXIF blocks kept beside a picture whose orientation has been applied, as tfhific/pictures/exif.py
 * keeps them: edited in place, since maker notes hold offsets that are only right where they are.
 */

import { concatenate } from "./container.js";

/** "Exif" and two zeros. */
export const EXIF_PREFIX = [0x45, 0x78, 0x69, 0x66, 0, 0];
const ORIENTATION = 0x0112;
const UPRIGHT = 1;
const SHORT = 3;
const LONG = 4;
/** Offset and length of the thumbnail in the second folder: as JPEG, or as strips of samples. */
const THUMBNAIL_TAGS = [
  [0x0201, 0x0202],
  [0x0111, 0x0117],
];

/**
 * An EXIF block that says "upright" and holds no thumbnail.
 *
 * @param {Uint8Array} block a TIFF structure, with or without "Exif\0\0" in front
 * @returns {Uint8Array | null} always with it; null where the structure is too damaged for its
 *   orientation to be known
 */
export function uprightExif(block) {
  const begins = EXIF_PREFIX.every((byte, i) => block[i] === byte);
  const blob = block.slice(begins ? EXIF_PREFIX.length : 0);
  let kept;
  try {
    kept = edit(blob);
  } catch (error) {
    // A DataView's: what the block says lies outside it.
    if (error instanceof RangeError) return null;
    throw error;
  }
  return kept && concatenate([EXIF_PREFIX, kept]);
}

/**
 * @typedef {object} Folder
 * @property {number[]} entries offsets
 * @property {number} end offset of the pointer to the next folder
 */

/**
 * @param {Uint8Array} blob changed
 * @returns {Uint8Array | null} as much of it as is kept
 */
function edit(blob) {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  const order = view.getUint16(0);
  const little = order === 0x4949;
  if ((!little && order !== 0x4d4d) || view.getUint16(2, little) !== 42) return null;
  const first = folderAt(view, little, view.getUint32(4, little));
  if (!first) return null;
  const behind = first.end + 4;
  let length = blob.length;
  if (behind <= blob.length) {
    const second = view.getUint32(first.end, little);
    view.setUint32(first.end, 0, little);
    if (second) length = eraseThumbnail(blob, view, little, second, behind);
  }
  // Last, so that erasing a thumbnail that claims to lie here cannot undo it.
  for (const entry of first.entries) {
    if (view.getUint16(entry, little) !== ORIENTATION) continue;
    view.setUint16(entry + 2, SHORT, little);
    view.setUint32(entry + 4, 1, little);
    view.setUint16(entry + 8, UPRIGHT, little);
    view.setUint16(entry + 10, 0, little);
  }
  return blob.subarray(0, length);
}

/** @param {DataView} view @param {boolean} little @param {number} start @returns {Folder | null} null: outside */
function folderAt(view, little, start) {
  const count = view.getUint16(start, little);
  const end = start + 2 + 12 * count;
  if (start < 8 || end > view.byteLength) return null;
  return { entries: Array.from({ length: count }, (_, i) => start + 2 + 12 * i), end };
}

/**
 * @param {Uint8Array} blob changed
 * @param {DataView} view of it
 * @param {boolean} little
 * @param {number} start of the second folder
 * @param {number} free where a thumbnail may begin
 * @returns {number} bytes that are left of the block: a thumbnail at its end is cut off
 */
function eraseThumbnail(blob, view, little, start, free) {
  let length = blob.length;
  if (start + 2 > length) return length;
  const folder = folderAt(view, little, start);
  /** @type {Map<number, number>} */
  const values = new Map();
  for (const entry of folder?.entries ?? []) {
    const kind = view.getUint16(entry + 2, little);
    if (view.getUint32(entry + 4, little) !== 1 || (kind !== SHORT && kind !== LONG)) continue;
    const value = kind === SHORT ? view.getUint16(entry + 8, little) : view.getUint32(entry + 8, little);
    values.set(view.getUint16(entry, little), value);
  }
  for (const [where, size] of THUMBNAIL_TAGS) {
    const begin = values.get(where) ?? 0;
    const end = begin + (values.get(size) ?? 0);
    if (begin < free || begin >= end || end > length) continue;
    if (end === length) length = begin;
    else blob.fill(0, begin, end);
  }
  return length;
}
