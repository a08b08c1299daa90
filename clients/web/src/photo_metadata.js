/**
 * What a photo's file says beside its samples: ICC profile and EXIF block, of JPEG and PNG files, the
 * same bytes as `tfhific compress` keeps of them.
 *
 * What is damaged counts as absent: whether the file is a picture at all is for whoever decodes it.
 * Not looked at is an orientation in XMP, or EXIF in a PNG's text.
 */

import { concatenate } from "./container.js";
import { EXIF_PREFIX, uprightExif } from "./exif.js";
import { inflateInto } from "./inflate.js";
import { SIGNATURE, crc32 } from "./png.js";

const MAX_PROFILE_BYTES = 1 << 24;
const PROFILE_HEADER_BYTES = 128;
const SOS = 0xda;
const END = 0xd9;
/** Markers of frame headers; the others in the range are tables'. */
const isFrame = (/** @type {number} */ marker) =>
  marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
/** Markers that stand alone: restarts, beginning, and one for private use. */
const isBare = (/** @type {number} */ marker) => (marker >= 0xd0 && marker <= 0xd8) || marker === 1;

/**
 * @typedef {object} Metadata
 * @property {Uint8Array | null} icc ICC profile of RGB samples
 * @property {Uint8Array | null} exif EXIF block, upright and without its thumbnail
 */

/**
 * Reads a photo's profile and EXIF block; decodes nothing else.
 *
 * The block says "upright": the picture's orientation is to be applied, as browsers do. A profile is
 * that of the stored samples: these must not have been converted to another space.
 *
 * @param {Uint8Array} bytes of the file
 * @returns {Promise<Metadata>} nulls for what is not there, and for files of other kinds
 */
export async function photoMetadata(bytes) {
  const isPng = SIGNATURE.every((byte, i) => bytes[i] === byte);
  if (!isPng && !(bytes[0] === 0xff && bytes[1] === 0xd8)) return { icc: null, exif: null };
  const { icc, exif } = isPng ? await ofPng(bytes) : ofJpeg(bytes);
  return { icc: icc && rgbProfile(icc), exif: exif && uprightExif(exif) };
}

/** A profile cut to the length it declares; null when it is none, or of other samples. @param {Uint8Array} icc */
function rgbProfile(icc) {
  if (icc.length < PROFILE_HEADER_BYTES) return null;
  const declared = new DataView(icc.buffer, icc.byteOffset).getUint32(0);
  if (text(icc, 36) !== "acsp" || text(icc, 16) !== "RGB ") return null;
  if (declared < PROFILE_HEADER_BYTES || declared > icc.length) return null;
  return icc.slice(0, declared);
}

/** Four letters. @param {Uint8Array} bytes @param {number} at */
const text = (bytes, at) => String.fromCharCode(...bytes.subarray(at, at + 4));

/** Whether bytes begin with a text and a zero. @param {Uint8Array} bytes @param {string} name */
const isNamed = (bytes, name) =>
  bytes[name.length] === 0 && Array.from(name).every((letter, i) => bytes[i] === letter.charCodeAt(0));

/** @param {Uint8Array} bytes @returns {Metadata} */
function ofJpeg(bytes) {
  /** @type {Uint8Array[]} */
  const blocks = [];
  /** @type {Uint8Array[]} */
  const parts = [];
  /** @type {Uint8Array | null} */
  let icc = null;
  let at = 2;
  while (at + 4 <= bytes.length) {
    // Between segments there may be fill bytes, and others that readers skip.
    if (bytes[at] !== 0xff || bytes[at + 1] === 0xff || bytes[at + 1] === 0) {
      at++;
      continue;
    }
    const marker = bytes[at + 1];
    if (marker === SOS || marker === END) break;
    if (isBare(marker)) {
      at += 2;
      continue;
    }
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    if (length < 2 || at + 2 + length > bytes.length) break;
    const body = bytes.subarray(at + 4, at + 2 + length);
    at += 2 + length;
    if (marker === 0xe1 && isNamed(body, "Exif") && body[5] === 0) {
      // A block longer than a segment goes on in the next, behind the same name.
      blocks.push(blocks.length ? body.subarray(EXIF_PREFIX.length) : body);
    } else if (marker === 0xe2 && isNamed(body, "ICC_PROFILE") && body.length >= 14) {
      parts.push(body);
    } else if (isFrame(marker)) {
      // Parts behind the frame's header count for nothing. CMYK is shown through its profile.
      if (parts.length && body[5] !== 4) icc = joined(parts);
      parts.length = 0;
    }
  }
  return { icc, exif: blocks.length ? concatenate(blocks) : null };
}

/** A profile's parts in the order of their numbers; null unless all are there. @param {Uint8Array[]} parts */
function joined(parts) {
  const inOrder = [...parts].sort((one, other) => one[12] - other[12]);
  if (inOrder[0][13] !== parts.length) return null;
  return concatenate(inOrder.map((part) => part.subarray(14)));
}

/** @param {Uint8Array} bytes @returns {Promise<Metadata>} */
async function ofPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  /** @type {Record<string, Uint8Array>} */
  const held = {};
  let samples = false;
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = text(bytes, at + 4);
    if (length > bytes.length - at - 12 || kind === "IEND") break;
    samples ||= kind === "IDAT";
    // What says how samples are to be shown stands before them.
    if (kind === "eXIf" || (!samples && (kind === "iCCP" || kind === "cICP"))) {
      const isSound = crc32(bytes.subarray(at + 4, at + 8 + length)) === view.getUint32(at + 8 + length);
      if (isSound) held[kind] = bytes.subarray(at + 8, at + 8 + length);
    }
    at += 12 + length;
  }
  const { eXIf, iCCP, cICP } = held;
  // Code points go before a profile; browsers convert what they say to sRGB.
  const icc = iCCP && !(cICP && areCodePoints(cICP)) ? await profileOf(iCCP) : null;
  return { icc, exif: eXIf?.length ? concatenate([EXIF_PREFIX, eXIf]) : null };
}

/** Whether cICP says something that H.273 gives a meaning. @param {Uint8Array} content */
function areCodePoints(content) {
  const [primaries, transfer, matrix, range] = content;
  const known = (primaries >= 1 && primaries <= 12 && primaries !== 3) || primaries === 22;
  return content.length === 4 && known && transfer >= 1 && transfer <= 18 && transfer !== 3 && !matrix && range <= 1;
}

/** The profile in a chunk: a name, a zero, the method 0, a zlib stream. @param {Uint8Array} content */
async function profileOf(content) {
  const at = content.indexOf(0);
  if (at < 0 || content[at + 1] !== 0) return null;
  const target = new Uint8Array(MAX_PROFILE_BYTES);
  const { size, end } = await inflateInto(content.subarray(at + 2), target);
  return end === "whole" ? target.slice(0, size) : null;
}
