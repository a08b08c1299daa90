/** The page: a `.tfh` file or a photo in, a picture with its figures out. */

import { TfhClient } from "./client.js";
import { DecoderChoice } from "./decoders.js";
import { modelsBeside } from "./models.js";
import { openPhoto } from "./photo.js";

/** Models that were built into this page's folder. @type {import("./decoders.js").BuiltModel[]} */
// @ts-ignore: by the bundler
const models = MODELS;
/** A picture of more pixels is not decoded here: browsers don't draw it. */
const MAX_PIXELS = 100_000_000;

const client = new TfhClient(modelsBeside(document.baseURI));
/** @template {HTMLElement} T @param {string} id @returns {T} */
const element = (id) => /** @type {T} */ (document.getElementById(id));
const statusLine = element("status");
const errorLine = element("error");
const bar = /** @type {HTMLProgressElement} */ (element("progress"));
const figure = element("picture");
const quality = /** @type {HTMLInputElement} */ (element("quality"));
const decoders = element("decoders");
const choice = new DecoderChoice(decoders, models);
const reveal = /** @type {HTMLInputElement} */ (element("reveal"));

/** Counts what was asked for: what comes later than a newer wish is dropped. */
let wish = 0;
/** @type {{ name: string, bytes: Uint8Array, picture: import("../src/decode.js").Picture } | null} */
let shown = null;
/** @type {{ name: string, image: import("./photo.js").Photo, layer?: HTMLElement } | null} */
let photo = null;

/** @param {string} text */
function say(text) {
  statusLine.textContent = text;
}

/**
 * Runs what the user asked for: says what goes on, and what went wrong.
 *
 * @param {(isCurrent: () => boolean) => Promise<void>} work
 * @param {boolean} [supersedes] whether what was asked for before is no longer wanted
 */
async function attempt(work, supersedes = true) {
  if (supersedes) wish++;
  const own = wish;
  errorLine.hidden = true;
  try {
    await work(() => own === wish);
  } catch (error) {
    if (own !== wish) return;
    say("");
    errorLine.textContent = /** @type {Error} */ (error).message;
    errorLine.hidden = false;
  } finally {
    if (own === wish && supersedes) bar.hidden = true;
  }
}

/** @param {number} share */
function progress(share) {
  bar.hidden = false;
  bar.value = share;
}

/** @param {string} name @param {Uint8Array} bytes @param {() => boolean} isCurrent */
async function openTfh(name, bytes, isCurrent) {
  say(`Decoding ${name}…`);
  const start = performance.now();
  const decoder = (/** @type {string} */ fingerprint) => choice.decoderFor(fingerprint);
  const picture = await client.decode(bytes, { maxPixels: MAX_PIXELS, progress, decoder });
  if (!isCurrent()) return;
  const seconds = (performance.now() - start) / 1000;
  shown = { name, bytes, picture };
  await draw(picture, name);
  if (!isCurrent()) return;
  element("name").textContent = name;
  choice.offer(picture.fingerprint);
  describe({
    Size: `${picture.width} × ${picture.height} pixels`,
    File: `${bytes.length.toLocaleString("en")} bytes`,
    "Bits per pixel": picture.bitsPerPixel.toFixed(3),
    Quality: String(Math.round(picture.quality * 100) / 100),
    Model: picture.model,
    Extras: [picture.hasAlpha && "alpha", picture.icc && "ICC profile", picture.exif && "EXIF"]
      .filter(Boolean)
      .join(", "),
    Decoded: `in ${seconds.toFixed(2)} s`,
  });
  element("save-tfh").hidden = photo === null;
  element("comparison").hidden = photo === null;
  element("result").hidden = false;
  say(`${name} is shown: ${picture.width} by ${picture.height} pixels.`);
}

/** @param {Record<string, string>} facts */
function describe(facts) {
  element("facts").replaceChildren(
    ...Object.entries(facts)
      .filter(([, value]) => value)
      .map(([term, value]) => {
        const row = document.createElement("div");
        const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
        dt.textContent = term;
        dd.textContent = value;
        row.append(dt, dd);
        return row;
      }),
  );
}

/** @param {import("../src/decode.js").Picture} picture @param {string} name */
async function draw(picture, name) {
  const layers = [await layerOf(picture, `The decoded picture ${name}`)];
  if (photo) {
    photo.layer ??= await layerOf(photo.image, `The original of ${name}`);
    photo.layer.classList.add("original");
    layers.push(photo.layer);
  }
  figure.replaceChildren(...layers);
}

/** A picture to be shown. @param {import("./photo.js").Photo} picture @param {string} label @returns {Promise<HTMLElement>} */
async function layerOf(picture, label) {
  if (!picture.icc) return canvasOf(new ImageData(picture.data, picture.width, picture.height), label);
  // A canvas has no place for a profile; the browser manages the colours of a PNG file.
  const image = new Image();
  const url = URL.createObjectURL(pngBlob(await client.png(picture)));
  image.src = url;
  await image.decode();
  URL.revokeObjectURL(url);
  image.alt = label;
  return image;
}

/** @param {ImageData} image @param {string} label */
function canvasOf(image, label) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

/** @param {Uint8Array} bytes */
const pngBlob = (bytes) => new Blob([/** @type {BlobPart} */ (bytes)], { type: "image/png" });

/** @param {() => boolean} isCurrent */
async function compressPhoto(isCurrent) {
  if (!photo) return;
  const name = `${photo.name.replace(/\.[^.]*$/, "")}.tfh`;
  say(`Compressing ${photo.name}…`);
  const bytes = await client.encode(photo.image, Number(quality.value), models[0].fingerprint, progress);
  if (isCurrent()) await openTfh(name, bytes, isCurrent);
}

/** Decodes what is shown by the decoder that is chosen now. */
function decodeAgain() {
  choice.take();
  return attempt(async (isCurrent) => {
    if (!shown) return;
    try {
      await openTfh(shown.name, shown.bytes, isCurrent);
    } catch (error) {
      if (isCurrent()) choice.restore();
      throw error;
    }
  });
}

/** @param {File} file */
function openFile(file) {
  return attempt(async (isCurrent) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const isTfh = file.name.toLowerCase().endsWith(".tfh") || String.fromCharCode(...bytes.subarray(0, 3)) === "TFH";
    const image = isTfh ? null : await openPhoto(file);
    if (!isCurrent()) return;
    photo = image && { name: file.name, image };
    element("encoding").hidden = photo === null;
    if (photo) await compressPhoto(isCurrent);
    else await openTfh(file.name, bytes, isCurrent);
  });
}

/** @param {string} source */
function openAddress(source) {
  return attempt(async (isCurrent) => {
    const address = new URL(source, document.baseURI);
    const name = decodeURIComponent(address.pathname.split("/").pop() || source);
    say(`Fetching ${name}…`);
    let answer;
    try {
      answer = await fetch(address);
    } catch {
      throw new Error(`${address.href} could not be fetched: it does not answer, or forbids this page to ask.`);
    }
    if (!answer.ok) throw new Error(`${address.href} could not be fetched: the answer is ${answer.status}.`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    photo = null;
    if (isCurrent()) await openTfh(name, bytes, isCurrent);
  });
}

/** @param {Uint8Array} bytes @param {string} name @param {string} type */
function save(bytes, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (bytes)], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

element("controls").addEventListener("submit", (event) => event.preventDefault());
element("file").addEventListener("change", ({ target }) => {
  const [file] = /** @type {HTMLInputElement} */ (target).files ?? [];
  if (file) void openFile(file);
});
quality.addEventListener("input", () => {
  element("quality-value").textContent = quality.value;
});
quality.addEventListener("change", () => void attempt(compressPhoto));
decoders.addEventListener("change", () => void decodeAgain());
reveal.addEventListener("input", () => figure.style.setProperty("--reveal", `${reveal.value}%`));
element("save-png").addEventListener("click", () =>
  attempt(async () => {
    if (!shown) return;
    const { name, picture } = shown;
    say("Writing the PNG file…");
    save(await client.png(picture), `${name.replace(/\.tfh$/i, "")}.png`, "image/png");
    say("The PNG file is written.");
  }, false),
);
element("save-tfh").addEventListener("click", () => {
  if (shown) save(shown.bytes, shown.name, "image/x-tfh");
});
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const file = event.dataTransfer?.files[0];
  if (file) void openFile(file);
});
const source = new URLSearchParams(location.search).get("src");
if (source) void openAddress(source);
