// Calls the signatures of a tfhific SavedModel through tfjs-node.
'use strict';

const fs = require('fs');
const path = require('path');

// TensorFlow's notices are not the user's business.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';

/** The SavedModel's folder: the one given, or its version with the largest number. */
function findModel(folder) {
  const isModel = (place) => fs.existsSync(path.join(place, 'saved_model.pb'));
  if (isModel(folder)) return folder;
  const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  const versions = names.filter((name) => /^\d+$/.test(name) && isModel(path.join(folder, name)));
  if (versions.length === 0) {
    throw new Error(
        `${folder}: expected a SavedModel, or a folder of numbered ones; bin/export.py makes it`);
  }
  return path.join(folder, versions.sort((a, b) => Number(a) - Number(b)).pop());
}

class Model {
  /** @param {string} folder that bin/export.py wrote. */
  constructor(folder) {
    this.folder = findModel(folder);
    this.signatures = new Map();
  }

  /** Compresses an encoded image; at a quality from 1 to 8, or the model's default one. */
  compress(image, quality) {
    const inputs = {image_bytes: image};
    return quality === undefined ? this.call('compress', inputs, 'compressed_bytes') :
                                   this.call('compress_at', {...inputs, quality}, 'compressed_bytes');
  }

  /** Decompresses the bytes of a .tfh file to a PNG file. */
  decompress(compressed) {
    return this.call('decompress', {compressed_bytes: compressed}, 'image_bytes');
  }

  async call(signature, inputs, output) {
    // Loaded here: it takes a second, and mistakes should be told before.
    const tf = require('@tensorflow/tfjs-node');
    if (!this.signatures.has(signature)) {
      this.signatures.set(
          signature, await tf.node.loadSavedModel(this.folder, ['serve'], signature));
    }
    const tensors = {};
    for (const [name, value] of Object.entries(inputs)) {
      tensors[name] = typeof value === 'number' ? tf.tensor1d([value], 'float32') :
                                                  tf.tensor([new Uint8Array(value)], [1], 'string');
    }
    const outputs = this.signatures.get(signature).predict(tensors);
    try {
      const [message] = await outputs.error.bytes();
      if (message.length > 0) throw new Error(Buffer.from(message).toString());
      const [result] = await outputs[output].bytes();
      return Buffer.from(result);
    } finally {
      tf.dispose([tensors, outputs]);
    }
  }
}

/** Writes a file whole or not at all. */
function writeFile(name, data) {
  const temporary = `${name}.${process.pid}.tmp`;
  try {
    fs.writeFileSync(temporary, data, {flag: 'wx'});
    fs.renameSync(temporary, name);
  } catch (error) {
    fs.rmSync(temporary, {force: true});
    throw error;
  }
}

/** The two programs: PROGRAM [--model=DIR] [--quality=Q] IN OUT. */
async function main(compress) {
  const options = {model: process.env.TFH_MODEL};
  const paths = [];
  for (const argument of process.argv.slice(2)) {
    const option = /^--(model|quality)=(.*)$/.exec(argument);
    if (option) options[option[1]] = option[2];
    else paths.push(argument);
  }
  const wrong = paths.some((name) => name.startsWith('--'));
  if (paths.length !== 2 || wrong || !options.model || (options.quality && !compress)) {
    const program = path.basename(process.argv[1], '.js');
    console.error(`usage: ${program} [--model=DIR] ${compress ? '[--quality=1..8] ' : ''}IN OUT`);
    console.error('DIR is a folder that bin/export.py wrote; default: the variable TFH_MODEL.');
    return 2;
  }
  try {
    const quality = options.quality === undefined ? undefined : Number(options.quality);
    if (Number.isNaN(quality)) throw new Error(`--quality: expected a number from 1 to 8`);
    const data = fs.readFileSync(paths[0]);
    const model = new Model(options.model);
    const result = await (compress ? model.compress(data, quality) : model.decompress(data));
    writeFile(paths[1], result);
    return 0;
  } catch (error) {
    console.error(`error: ${paths[0]}: ${error.message.split('\n')[0]}`);
    return 1;
  }
}

module.exports = {Model, main};
