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

/** Copies a model under its fingerprint, and as a script for file://. @param {string} folder @param {string} out */
function copyModel(folder, out) {
  const file = path.join(folder, "model.safetensors");
  if (!fs.existsSync(file)) {
    console.error(`error: expected the folder of a published model. Received: ${folder}, without model.safetensors.`);
    process.exit(1);
  }
  const bytes = fs.readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  const { fingerprint, name } = JSON.parse(header.__metadata__.tfhific);
  fs.writeFileSync(path.join(out, `${fingerprint}.safetensors`), bytes);
  const text = `(globalThis.tfhificModels??={})[${JSON.stringify(fingerprint)}]="${bytes.toString("base64")}";\n`;
  fs.writeFileSync(path.join(out, `${fingerprint}.js`), text);
  return { fingerprint, name };
}

/** Folders of the models that ship, the newest first, which encodes; no second decoders of a model's files. */
const shipped = () =>
  fs
    .readdirSync(zoo)
    .filter((name) => /^mini-v\d+$/.test(name))
    .sort((one, other) => Number(other.slice(6)) - Number(one.slice(6)))
    .map((name) => path.join(zoo, name));

const named = process.argv.slice(2).filter((argument) => !argument.startsWith("--out="));
const out = process.argv.find((argument) => argument.startsWith("--out="))?.slice("--out=".length);
const target = path.resolve(out ?? path.join(here, "dist"));
fs.mkdirSync(path.join(target, "models"), { recursive: true });
await compileKernels("simd.wasm");
await compileKernels("relaxed.wasm", "relaxed-simd");
const models = (named.length ? named : shipped()).map((folder) =>
  copyModel(folder, path.join(target, "models")),
);
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
