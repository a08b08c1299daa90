// Builds the page and the module: node tools/build.js [--out=FOLDER] [MODEL_FOLDER...]
//
// Kernels are compiled to dist/kernels, scripts bundled, the page and the models (default: those that
// ship) copied. FOLDER, `dist` beside this folder unless it is named, is then all that a page needs.

import asc from "assemblyscript/asc";
import { build } from "esbuild";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const zoo = path.resolve(here, "../../tfhific/zoo");

/** @param {string} name @param {string[]} features */
async function compileKernels(name, ...features) {
  const options = ["-O3", "--runtime", "stub", "--noAssert", "--importMemory", "--enable", "simd"];
  const { error, stderr } = await asc.main([
    path.join(here, "kernels", "correlate.ts"),
    ...options,
    ...features.flatMap((feature) => ["--enable", feature]),
    "--outFile",
    path.join(here, "dist", "kernels", name),
  ]);
  if (error) throw new Error(`${error.message}\n${stderr}`);
}

/** Bundles one script. @param {string} entry @param {object} options @returns {Promise<string>} its text */
async function bundle(entry, options = {}) {
  const { outputFiles } = await build({
    entryPoints: [path.join(here, "page", entry)],
    bundle: true,
    minify: true,
    write: false,
    target: "es2022",
    legalComments: "none",
    loader: { ".wasm": "binary" },
    ...options,
  });
  return outputFiles[0].text;
}

/** Makes `import text from "worker:text"` the bundled worker. @param {string} text */
const workerPlugin = (text) => ({
  name: "worker",
  /** @param {import("esbuild").PluginBuild} setup */
  setup(setup) {
    setup.onResolve({ filter: /^worker:text$/ }, () => ({ path: "worker", namespace: "worker" }));
    setup.onLoad({ filter: /./, namespace: "worker" }, () => ({ contents: text, loader: "text" }));
  },
});

/** Says what is wrong, and ends. @param {string} message @returns {never} */
function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

/** A model's bytes, and what it says of itself. @param {string} folder */
function readModel(folder) {
  const file = path.join(folder, "model.safetensors");
  if (!fs.existsSync(file)) {
    fail(`expected the folder of a published model. Received: ${folder}, without model.safetensors.`);
  }
  const bytes = fs.readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  return { bytes, ...JSON.parse(header.__metadata__.tfhific) };
}

/** Copies a model or a decoder, and as a script for file://. @param {Buffer} bytes @param {string} key @param {string} out */
function copyModel(bytes, key, out) {
  fs.writeFileSync(path.join(out, `${key}.safetensors`), bytes);
  const text = `(globalThis.tfhificModels??={})[${JSON.stringify(key)}]="${bytes.toString("base64")}";\n`;
  fs.writeFileSync(path.join(out, `${key}.js`), text);
}

/**
 * Copies models under their fingerprints, and other decoders for their files under names of their own.
 *
 * @param {string[]} folders
 * @param {string} out
 * @returns {import("../page/decoders.js").BuiltModel[]} in the order of the folders
 */
function copyModels(folders, out) {
  /** @type {Map<string, import("../page/decoders.js").BuiltModel>} */
  const models = new Map();
  const decoders = [];
  for (const folder of folders) {
    const model = readModel(folder);
    if (model.decoder_of !== undefined) decoders.push(model);
    else if (!models.has(model.fingerprint)) {
      copyModel(model.bytes, model.fingerprint, out);
      models.set(model.fingerprint, { fingerprint: model.fingerprint, name: model.name, decoders: [] });
    }
  }
  for (const { bytes, fingerprint, name, decoder_of: codec } of decoders) {
    const model = models.get(fingerprint) ?? fail(`${name} is a decoder alone: name the folder of ${codec} too.`);
    copyModel(bytes, `${fingerprint}.${name}`, out);
    model.decoders.push(name);
  }
  return [...models.values()];
}

/** Folders of the models that ship, the newest first, which encodes, and of decoders alone for their files. */
function shipped() {
  const names = fs.readdirSync(zoo).filter((name) => fs.existsSync(path.join(zoo, name, "model.safetensors")));
  const whole = names
    .filter((name) => /^mini-v\d+$/.test(name))
    .sort((one, other) => Number(other.slice(6)) - Number(one.slice(6)));
  const decoders = names.filter((name) => whole.includes(readModel(path.join(zoo, name)).decoder_of));
  return [...whole, ...decoders].map((name) => path.join(zoo, name));
}

const named = process.argv.slice(2).filter((argument) => !argument.startsWith("--out="));
const out = process.argv.find((argument) => argument.startsWith("--out="))?.slice("--out=".length);
const target = path.resolve(out ?? path.join(here, "dist"));
fs.mkdirSync(path.join(target, "models"), { recursive: true });
await compileKernels("simd.wasm");
await compileKernels("relaxed.wasm", "relaxed-simd");
const models = copyModels(named.length ? named : shipped(), path.join(target, "models"));
const plugins = [workerPlugin(await bundle("worker.js", { format: "iife" }))];
const define = { MODELS: JSON.stringify(models) };
for (const [entry, format] of [["app.js", "iife"], ["tfh.js", "esm"], ["tfh-img.js", "esm"]]) {
  fs.writeFileSync(path.join(target, entry), await bundle(entry, { format, plugins, define }));
}
for (const name of ["index.html", "page.css"]) {
  fs.copyFileSync(path.join(here, "page", name), path.join(target, name));
}
for (const name of fs.readdirSync(target).sort()) {
  const file = path.join(target, name);
  if (fs.statSync(file).isFile()) console.log(`${file} ${fs.statSync(file).size}`);
}
