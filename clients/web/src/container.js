/** The frame of a `.tfh` file, versions 0 and 1 (docs/format.md): read, and written. */

import { farmhash64 } from "./checksum.js";
import { TfhError } from "./errors.js";
import { Reader, varintBytes } from "./reader.js";

export const QUALITY_STEPS = 4096;
export const MAX_PIXELS = 178_956_970;
const MAX_QUALITY_CODE = 7 * QUALITY_STEPS;
const MAX_LOG2_STREAMS = 10;
const METADATA_FLAG = 0x8000;
const CHECKSUM_BYTES = 8;
/** @type {Record<string, "alpha" | "icc" | "exif" | "labels" | "kept" | "code">} */
const TAGS = {
  ALPH: "alpha",
  ICCP: "icc",
  EXIF: "exif",
  LABL: "labels",
  KEEP: "kept",
  CODE: "code",
};

/**
 * What a file says and holds; sections are views of its bytes.
 *
 * @typedef {object} Contents
 * @property {number} version of the format
 * @property {string} fingerprint of the model, 16 hexadecimal digits
 * @property {number} height of the picture, pixels
 * @property {number} width of the picture, pixels
 * @property {number} qualityCode (quality - 1) * 4096
 * @property {number} zStreams streams that the hyperlatents were dealt to
 * @property {number} yStreams the same for each band of the latents
 * @property {number} bandRows latent rows a band; 0: all in one
 * @property {Uint8Array} z payload of the hyperlatents
 * @property {Uint8Array} y payloads of the latents' bands
 * @property {Uint8Array} [alpha] the alpha plane, a grey PNG
 * @property {Uint8Array} [icc] ICC profile
 * @property {Uint8Array} [exif] EXIF block
 * @property {Uint8Array} [labels] see docs/format.md, as the following
 * @property {Uint8Array} [kept]
 * @property {Uint8Array} [code]
 */

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * Reads a file's frame, its checksum included; decodes nothing.
 *
 * @param {Uint8Array} data the whole file
 * @param {number} [maxPixels] larger pictures are refused
 * @returns {Contents}
 * @throws {TfhError} when it is no such file, damaged, of another version or too large
 */
export function unpack(data, maxPixels = MAX_PIXELS) {
  if (!(data instanceof Uint8Array)) {
    throw new TfhError(`Expected the bytes of a .tfh file, a Uint8Array. Received: ${typeof data}.`);
  }
  if (!data.length) throw new TfhError("Expected a .tfh file. Received: no bytes at all.");
  for (let i = 0; i < Math.min(3, data.length); i++) {
    if (data[i] !== "TFH".charCodeAt(i)) {
      throw new TfhError("Not a .tfh file: it does not begin with the letters TFH.");
    }
  }
  const version = data.length > 3 ? data[3] : 1;
  if (version > 1) {
    throw new TfhError(
      `The file has format version ${version}; this reader knows versions 0 and 1. ` +
        "It was made by another version, or is damaged.",
    );
  }
  const end = data.length - CHECKSUM_BYTES;
  if (end < 4) throw new TfhError(`The file is cut short: it has ${data.length} bytes.`);
  const body = data.subarray(0, end);
  const stored = new DataView(data.buffer, data.byteOffset + end, 8).getBigUint64(0, true);
  if (farmhash64(body) !== stored) {
    throw new TfhError("The file is damaged or cut short: its checksum does not fit.");
  }
  const reader = new Reader(body);
  reader.take(4, "magic");
  const fingerprint = hex(reader.take(8, "fingerprint"));
  const height = reader.varint("height");
  const width = reader.varint("width");
  if (!height || !width) {
    throw new TfhError(`The file claims an impossible picture of ${width}x${height} pixels.`);
  }
  if (height * width > maxPixels) {
    throw new TfhError(
      `The file claims a picture of ${width}x${height} pixels, more than the limit of ${maxPixels}.`,
    );
  }
  const [low, high] = reader.take(2, "quality");
  const hasMetadata = Boolean((low | (high << 8)) & METADATA_FLAG);
  const qualityCode = (low | (high << 8)) & ~METADATA_FLAG;
  if (qualityCode > MAX_QUALITY_CODE) {
    throw new TfhError(`The file claims an impossible quality (${qualityCode}).`);
  }
  const [streams] = reader.take(1, "number of streams");
  if (Math.max(streams & 15, streams >> 4) > MAX_LOG2_STREAMS) {
    throw new TfhError(`The file claims an impossible number of streams (${streams}).`);
  }
  const bandRows = version ? reader.varint("rows of a band") : 0;
  const zLength = reader.varint("length of z");
  const metadataLength = hasMetadata ? reader.varint("length of metadata") : 0;
  const z = reader.take(zLength, "hyperlatents");
  const metadata = unpackMetadata(reader.take(metadataLength, "metadata"));
  const y = reader.take(reader.left, "latents");
  return {
    version,
    fingerprint,
    height,
    width,
    qualityCode,
    zStreams: 1 << (streams & 15),
    yStreams: 1 << (streams >> 4),
    bandRows,
    z,
    y,
    ...metadata,
  };
}

/**
 * @param {Uint8Array} data
 * @returns {Partial<Contents>}
 */
function unpackMetadata(data) {
  const reader = new Reader(data);
  /** @type {Partial<Contents>} */
  const found = {};
  while (reader.left) {
    const tag = String.fromCharCode(...reader.take(4, "metadata"));
    const value = reader.take(reader.varint("metadata"), "metadata");
    const name = Object.hasOwn(TAGS, tag) ? TAGS[tag] : undefined;
    if (!name || name in found) {
      throw new TfhError(`The file's metadata has an unexpected entry ${JSON.stringify(tag)}.`);
    }
    found[name] = value;
  }
  return found;
}

/**
 * The payloads of the latents' bands.
 *
 * @param {Uint8Array} section all of y
 * @param {number} count of bands
 * @returns {Uint8Array[]}
 */
export function splitBands(section, count) {
  const reader = new Reader(section);
  const payloads = [];
  for (let i = 1; i < count; i++) {
    payloads.push(reader.take(reader.varint("length of a band"), "latents"));
  }
  payloads.push(reader.take(reader.left, "latents"));
  return payloads;
}

/**
 * The inverse of `splitBands`.
 *
 * @param {Uint8Array[]} payloads
 * @returns {Uint8Array}
 */
export function joinBands(payloads) {
  const last = payloads.length - 1;
  return concatenate(
    payloads.flatMap((payload, i) => (i < last ? [varintBytes(payload.length), payload] : [payload])),
  );
}

/** @param {(ArrayLike<number>)[]} parts @returns {Uint8Array} */
export function concatenate(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * A file's bytes, of format version 1.
 *
 * @param {Omit<Contents, "version">} contents
 * @returns {Uint8Array}
 */
export function pack(contents) {
  const metadata = concatenate(
    Object.entries(TAGS).flatMap(([tag, name]) => {
      const value = contents[name];
      if (!value) return [];
      return [Array.from(tag, (letter) => letter.charCodeAt(0)), varintBytes(value.length), value];
    }),
  );
  const quality = contents.qualityCode | (metadata.length ? METADATA_FLAG : 0);
  const body = concatenate([
    [0x54, 0x46, 0x48, 1],
    contents.fingerprint.match(/../g)?.map((byte) => parseInt(byte, 16)) ?? [],
    varintBytes(contents.height),
    varintBytes(contents.width),
    [quality & 255, quality >> 8],
    [Math.log2(contents.zStreams) | (Math.log2(contents.yStreams) << 4)],
    varintBytes(contents.bandRows),
    varintBytes(contents.z.length),
    metadata.length ? varintBytes(metadata.length) : [],
    contents.z,
    metadata,
    contents.y,
  ]);
  const end = new Uint8Array(CHECKSUM_BYTES);
  new DataView(end.buffer).setBigUint64(0, farmhash64(body), true);
  return concatenate([body, end]);
}
