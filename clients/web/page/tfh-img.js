/**
 * Shows `<img src="photo.tfh">`: `<script type="module" src="tfh-img.js"></script>` on a page.
 *
 * Pictures are decoded in one worker, one after the other, and shown as PNG files, which browsers
 * manage the colours of. An image that fails keeps its `alt`, and gets the reason as its `title`.
 */

import { TfhClient } from "./client.js";
import { modelsBeside } from "./models.js";

const client = new TfhClient(modelsBeside(import.meta.url));
/** @type {WeakMap<HTMLImageElement, string>} */
const seen = new WeakMap();

/** @param {HTMLImageElement} image */
async function show(image) {
  const source = image.getAttribute("src") ?? "";
  const address = new URL(source, document.baseURI);
  if (!address.pathname.endsWith(".tfh") || seen.get(image) === source) return;
  seen.set(image, source);
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address.href} answers with ${answer.status}.`);
    const picture = await client.decode(new Uint8Array(await answer.arrayBuffer()));
    const png = await client.png(picture);
    if (image.getAttribute("src") !== source) return;
    const url = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (png)], { type: "image/png" }));
    image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
    image.src = url;
  } catch (error) {
    image.title = /** @type {Error} */ (error).message;
    image.dispatchEvent(new CustomEvent("tfherror", { bubbles: true, detail: error }));
  }
}

/** @param {ParentNode} root */
function showAll(root) {
  for (const image of root.querySelectorAll("img")) void show(image);
}

showAll(document);
new MutationObserver((changes) => {
  for (const { target, addedNodes, type } of changes) {
    if (type === "attributes" && target instanceof HTMLImageElement) void show(target);
    for (const node of addedNodes) {
      if (node instanceof HTMLImageElement) void show(node);
      else if (node instanceof Element) showAll(node);
    }
  }
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["src"] });
