// The programs tfh-compress and tfh-decompress: options, files, messages and exit codes.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const {Model} = require('./tfh');

const MAX_INPUT = 2 ** 30;
const ENDINGS = [
  '.avif', '.bmp', '.gif', '.heic', '.jfif', '.jpe', '.jpeg', '.jpg', '.png', '.tfh', '.tif', '.tiff',
  '.webp',
];

function found(name) {
  return fs.statSync(name, {throwIfNoEntry: false});
}

/** Refuses an output before any work is done for it. */
function checkOutput(input, output, wanted, options) {
  const ending = path.extname(output).toLowerCase();
  if (ending !== wanted && ENDINGS.includes(ending) && !options.force_name) {
    throw new Error(`${output}: expected a name that ends in ${wanted}, which is what is written; ` +
                    '--force_name takes this one');
  }
  const there = found(output);
  if (!there) {
    if (fs.lstatSync(output, {throwIfNoEntry: false})) {
      throw new Error(`${output}: is a link to nothing; name another output`);
    }
    const folder = found(path.dirname(output));
    if (!folder || !folder.isDirectory()) {
      throw new Error(
          `${output}: the folder ${path.dirname(output)} is not there; make it first`);
    }
    return;
  }
  if (there.isDirectory()) {
    throw new Error(`${output}: expected the name of a file, received a folder`);
  }
  const source = found(input);
  if (source && source.dev === there.dev && source.ino === there.ino) {
    throw new Error(`${output}: is the input itself; name another output`);
  }
  if (!options.overwrite && there.isFile()) {
    throw new Error(`${output}: is there already; --overwrite replaces it`);
  }
}

function readFile(name) {
  const file = found(name);
  if (file && file.size > MAX_INPUT) {
    throw new Error(`${name}: expected at most ${MAX_INPUT} bytes, received more`);
  }
  return named(name, () => fs.readFileSync(name));
}

/** What a piece of work returns; the system's errors name the file, and say no more than is needed. */
function named(name, work) {
  try {
    return work();
  } catch (error) {
    throw new Error(`${name}: ${error.message.split(', ')[0]}`);
  }
}

/** Writes a file whole or not at all; to pipes and devices directly. */
function writeFile(name, data, overwrite) {
  const there = found(name);
  if (there && !there.isFile()) {
    fs.writeFileSync(name, data);
    return;
  }
  // What a symbolic link points to is replaced, not the link.
  const target = there ? fs.realpathSync(name) : name;
  const random = crypto.randomBytes(8).toString('hex');
  const temporary = path.join(path.dirname(target), `.${random}.tmp`);
  const file = fs.openSync(temporary, 'wx');
  try {
    try {
      fs.writeFileSync(file, data);
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
    if (overwrite || !linked(temporary, target)) fs.renameSync(temporary, target);
  } finally {
    fs.rmSync(temporary, {force: true});
  }
}

/** Gives a file its name unless another has got it meanwhile; false where links are unknown. */
function linked(temporary, target) {
  try {
    fs.linkSync(temporary, target);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') throw error;
    return false;
  }
}

/** The command line's options and paths; null if it is wrong. */
function parse(compress) {
  const options = {model: process.env.TFH_MODEL, overwrite: false, force_name: false};
  const paths = [];
  for (const argument of process.argv.slice(2)) {
    const option = /^--(model|quality)=(.*)$/s.exec(argument);
    if (option && (compress || option[1] !== 'quality')) options[option[1]] = option[2];
    else if (argument === '--overwrite' || argument === '--force_name') options[argument.slice(2)] = true;
    else if (argument.startsWith('--')) return null;
    else paths.push(argument);
  }
  return paths.length === 2 && options.model ? {options, paths} : null;
}

/** PROGRAM [--model=DIR] [--quality=Q] [--overwrite] [--force_name] IN OUT; gives the exit code. */
async function main(compress) {
  const given = parse(compress);
  if (!given) {
    const program = path.basename(process.argv[1], '.js');
    console.error(`usage: ${program} [--model=DIR] ${compress ? '[--quality=1..8] ' : ''}` +
                  '[--overwrite] [--force_name] IN OUT');
    console.error('DIR is a folder that bin/export.py wrote; default: the variable TFH_MODEL.');
    return 2;
  }
  const {options, paths: [input, output]} = given;
  let quality;
  if (options.quality !== undefined) {
    quality = options.quality.trim() === '' ? NaN : Number(options.quality);
    if (!Number.isFinite(quality)) {
      console.error(`error: --quality: expected a number from 1 to 8, received ${options.quality}`);
      return 2;
    }
  }
  let about = '';
  try {
    checkOutput(input, output, compress ? '.tfh' : '.png', options);
    const data = readFile(input);
    about = `${input}: `;
    const model = new Model(options.model);
    const result = await (compress ? model.compress(data, quality) : model.decompress(data));
    about = '';
    named(output, () => writeFile(output, result, options.overwrite));
    return 0;
  } catch (error) {
    const [message] = String(error && error.message || error).split('\n');
    console.error(`error: ${about}${message}`);
    return 1;
  }
}

module.exports = {main};
