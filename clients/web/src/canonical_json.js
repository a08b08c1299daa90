/**
 * JSON as Python's `json.dumps(value, sort_keys=True)` writes it, without changing how numbers are
 * written: a model's checksum is taken over that text, and a number that went through JavaScript
 * would come out as `8` where `8.0` went in.
 */

import { TfhError } from "./errors.js";

const TOKEN = /[\s]*("(?:[^"\\\u0000-\u001f]|\\.)*"|-?\d[\d.eE+-]*|[[\]{},:]|true|false|null|-?Infinity|NaN)/y;
const DEEPEST = 100;

/**
 * @param {string} text a JSON object
 * @param {string} without a key of that object to leave out
 * @returns {string}
 */
export function canonicalJson(text, without) {
  const malformed = () => new TfhError("The model's description is not readable JSON.");
  let at = 0;
  const next = () => {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (!found) throw malformed();
    at = TOKEN.lastIndex;
    return found[1];
  };

  /** @param {string} token @param {number} depth @returns {string} */
  function value(token, depth) {
    if (depth > DEEPEST) throw malformed();
    if (token === "[") {
      const items = [];
      for (let item = next(); item !== "]"; ) {
        items.push(value(item, depth + 1));
        const separator = next();
        if (separator === "]") break;
        if (separator !== ",") throw malformed();
        item = next();
      }
      return `[${items.join(", ")}]`;
    }
    if (token === "{") {
      /** @type {Map<string, string>} */
      const entries = new Map();
      for (let key = next(); key !== "}"; ) {
        if (key[0] !== '"' || next() !== ":") throw malformed();
        entries.set(JSON.parse(key), value(next(), depth + 1));
        const separator = next();
        if (separator === "}") break;
        if (separator !== ",") throw malformed();
        key = next();
      }
      if (depth === 0) entries.delete(without);
      const sorted = [...entries.keys()].sort();
      return `{${sorted.map((key) => `${quoted(key)}: ${entries.get(key)}`).join(", ")}}`;
    }
    if ("]},:".includes(token)) throw malformed();
    return token[0] === '"' ? quoted(JSON.parse(token)) : token;
  }

  return value(next(), 0);
}

/**
 * A string as Python writes it: ASCII.
 *
 * @param {string} text
 * @returns {string}
 */
export function quoted(text) {
  const escape = (/** @type {string} */ unit) =>
    `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(text).replace(/[^ -~]/g, escape);
}
