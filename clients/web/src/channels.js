/** How layers change the channels: what of a network can be told before it is run. */

import { TfhError } from "./errors.js";

/** @typedef {import("./network.js").Network} Network */
/** @typedef {import("./network.js").Layer} Layer */

/**
 * The channels that a network gives.
 *
 * @param {Network} network
 * @param {number} channels of its input
 * @returns {number}
 * @throws {TfhError} when a layer does not fit the one before it
 */
export function channelsAfter(network, channels) {
  return after(network, network.layers, channels);
}

/** @param {Network} network @param {Layer[]} list @param {number} channels @returns {number} */
function after(network, list, channels) {
  for (const layer of list) {
    const taken = takenBy(network, layer);
    if (taken.length && taken.some((count) => count !== channels)) {
      throw new TfhError(`The model's layer ${layer.name} takes ${taken[0]} channels. Received: ${channels}.`);
    }
    channels = givenBy(network, layer, channels);
  }
  return channels;
}

/** The channels that each of a layer's arrays is for. @param {Network} network @param {Layer} layer @returns {number[]} */
function takenBy(network, layer) {
  const shape = (/** @type {string} */ array) => network.shape(layer, array);
  switch (layer.op) {
    case "conv":
      return [shape("kernel")[2]];
    case "deconv":
      return [shape("kernel")[3]];
    case "depthwise_conv":
      return [shape("kernel")[2], shape("bias")[0]];
    case "gdn":
      return [...shape("gamma"), shape("beta")[0]];
    case "channel_norm":
      return [shape("gamma")[0], shape("beta")[0]];
    default:
      return [];
  }
}

/** @param {Network} network @param {Layer} layer @param {number} channels @returns {number} */
function givenBy(network, layer, channels) {
  const [, , third, fourth] = network.shape(layer, "kernel");
  switch (layer.op) {
    case "conv":
      return fourth;
    case "deconv":
      return third;
    case "space_to_depth":
      return channels * layer.block ** 2;
    case "depth_to_space":
      return channels / layer.block ** 2;
    case "sum":
    case "residual": {
      const branches = layer.branches ?? [layer.branch];
      const given = branches.map((/** @type {Layer[]} */ branch) => after(network, branch, channels));
      const wanted = layer.op === "sum" ? given[0] : channels;
      if (given.some((/** @type {number} */ count) => count !== wanted)) {
        throw new TfhError("The model has branches whose channels do not fit each other.");
      }
      return wanted;
    }
    default:
      return channels;
  }
}
