// Calls the signatures of a tfhific SavedModel through tfjs-node.
'use strict';

const fs = require('fs');
const path = require('path');

// TensorFlow's notices are not the user's business.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';

const BEGINNINGS = {
  compressed_bytes: [Buffer.from('TFH'), '.tfh'],
  image_bytes: [Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), 'PNG'],
};

/** The SavedModel's folder: the one given, or its version with the largest number. */
function findModel(folder) {
  const isModel = (place) => fs.existsSync(path.join(place, 'saved_model.pb'));
  if (isModel(folder)) return folder;
  const there = fs.statSync(folder, {throwIfNoEntry: false});
  const names = there && there.isDirectory() ? fs.readdirSync(folder) : [];
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
    const tf = tensorflow();
    if (!this.signatures.has(signature)) {
      this.signatures.set(
          signature, await tf.node.loadSavedModel(this.folder, ['serve'], signature));
    }
    const tensors = {};
    for (const [name, value] of Object.entries(inputs)) {
      tensors[name] = typeof value === 'number' ? tf.tensor1d([value], 'float32') :
                                                  tf.tensor([new Uint8Array(value)], [1], 'string');
    }
    let outputs = [];
    try {
      outputs = this.signatures.get(signature).predict(tensors);
      const message = await only(outputs.error);
      if (message.length > 0) throw new Error(message.toString());
      const result = await only(outputs[output]);
      const [begin, kind] = BEGINNINGS[output];
      if (!result.subarray(0, begin.length).equals(begin)) {
        throw new Error(
            `expected a ${kind} file from the model, received ${result.length} other bytes`);
      }
      return result;
    } finally {
      tf.dispose([tensors, outputs]);
    }
  }
}

/** The only string of a tensor. */
async function only(tensor) {
  const strings = tensor && tensor.dtype === 'string' ? await tensor.bytes() : [];
  if (strings.length !== 1) throw new Error('expected one result; is this a tfhific model?');
  return Buffer.from(strings[0]);
}

/** tfjs-node. Loaded late: it takes a second, and mistakes should be told before. */
function tensorflow() {
  try {
    return require('@tensorflow/tfjs-node');
  } catch (error) {
    const [reason] = String(error.message).split('\n');
    throw new Error(`tfjs-node can't be loaded (${reason}); clients/node/build.sh installs it`);
  }
}

module.exports = {Model};
