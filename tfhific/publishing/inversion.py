"""From a trained `inversion` or `cgan` to a published model: a generator, and tables for its z."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfc_port.coding import Tables
from tfhific.codec.inversion import InversionCodec
from tfhific.codec.inversion_search import (
    MAX_BITS,
    SearchOptions,
    from_levels,
    level_shares,
    to_levels,
)
from tfhific.published.code import CodeModel
from tfhific.published.network import Network
from tfhific.published.ops import Dense, Relu, Reshape, Sigmoid
from tfhific.publishing.options import PublishOptions
from tfhific.publishing.publishable import folded_parts
from tfhific.publishing.rounding import folded, rounded


def z_tables(prior: str, counts: list[np.ndarray] | None = None) -> Tables:
    """A row for each number of bits from 1 to 8.

    Args:
      prior: `normal` or `uniform`.
      counts: for each number of bits, how often each level was found; None for the prior's own.
    """
    pmfs = []
    for bits in range(1, MAX_BITS + 1):
        shares = level_shares(prior, bits)
        if counts is not None:
            found = counts[bits - 1].astype(np.float64)
            # The prior is worth 16 values.
            shares = (found + 16.0 * shares) / (found.sum() + 16.0)
        pmfs.append(np.maximum(shares, 1e-4))
    return Tables.from_pmfs(pmfs, np.zeros(MAX_BITS, np.int32))


def publish_inversion(model, name: str, training: dict | None = None) -> CodeModel:
    """Folds a trained `Inversion` into a published model, z coded by its prior.

    Raises:
      ModelError: when a weight is not finite.
    """
    config = model.config
    networks = {part: folded(getattr(model, part), part) for part in folded_parts(model)}
    decoding = {
        "side": config.side,
        "channels": config.channels,
        "latent": config.latent,
        "classes": 0,
        "prior": "normal",
        "unit": False,
    }
    return CodeModel(
        name=name,
        system="inversion",
        networks=networks,
        training=training or {},
        tables={"z": z_tables("normal")},
        decoding=decoding,
        defining=("generator",),
    )


def publish_cgan(model, name: str, training: dict | None = None) -> CodeModel:
    """A trained `CGAN`'s generator as a published model to be inverted.

    Its two first layers, of z and of the label, become one on both: blocks of a larger kernel.

    Raises:
      ModelError: when a weight is not finite.
    """
    config = model.config
    trained = model.generator
    of_noise, of_label = trained.of_noise, trained.of_label
    units = [of_noise.units, of_label.units]
    kernel = np.zeros([config.noise + config.classes, sum(units)], np.float32)
    kernel[: config.noise, : units[0]] = of_noise.kernel.numpy()
    kernel[config.noise :, units[0] :] = of_label.kernel.numpy()
    arrays = {
        "0": (kernel, np.concatenate([of_noise.bias.numpy(), of_label.bias.numpy()])),
        "1": (trained.joint.kernel.numpy(), trained.joint.bias.numpy()),
        "2": (trained.picture.kernel.numpy(), trained.picture.bias.numpy()),
    }
    weights: dict[str, np.ndarray] = {}
    layers: list[dict[str, Any]] = []
    for number, (kernel, bias) in arrays.items():
        weights[f"generator/{number}/kernel"], weights[f"generator/{number}/bias"] = kernel, bias
        layers.append(Dense.entry(name=f"generator/{number}"))
        layers.append((Sigmoid if number == "2" else Relu).entry())
    layers.append(Reshape.entry(shape=[config.side, config.side, 1]))
    decoding = {
        "side": config.side,
        "channels": 1,
        "latent": config.noise,
        "classes": config.classes,
        "prior": "uniform",
        "unit": True,
    }
    return CodeModel(
        name=name,
        system="cgan",
        networks={"generator": rounded(Network(layers, weights))},
        training=training or {},
        tables={"z": z_tables("uniform")},
        decoding=decoding,
        defining=("generator",),
    )


def with_counted_z(
    published: CodeModel, images: list[np.ndarray], options: SearchOptions
) -> CodeModel:
    """The same model with the probabilities of z's levels counted over pictures.

    Args:
      published: an `inversion` or `cgan`.
      images: uint8 [H, W, 3] each; z is searched for in all of them, at 8 bits.
      options: how.
    """
    codec = InversionCodec(published)
    options = dataclasses.replace(options, bits=MAX_BITS)
    found = np.stack([codec.invert(image, options)[0] for image in images])
    prior = published.decoding["prior"]
    values = from_levels(found, prior, MAX_BITS)
    counts = [
        np.bincount(to_levels(values, prior, bits).ravel(), minlength=2**bits)
        for bits in range(1, MAX_BITS + 1)
    ]
    return dataclasses.replace(published, tables={"z": z_tables(prior, counts)})


def publish_inversion_run(
    model: Any, name: str, training: dict[str, Any], options: PublishOptions
) -> CodeModel:
    """Publishes an `Inversion` as a command asks; see `tfhific.publishing.options.Publisher`."""
    options.refuse_others(training["system"])
    return _counted(publish_inversion(model, name, training), options)


def publish_cgan_run(
    model: Any, name: str, training: dict[str, Any], options: PublishOptions
) -> CodeModel:
    """Publishes a `CGAN` as a command asks; see `tfhific.publishing.options.Publisher`."""
    options.refuse_others(training["system"])
    return _counted(publish_cgan(model, name, training), options)


def _counted(published: CodeModel, options: PublishOptions) -> CodeModel:
    if not options.data:
        return published
    from tfhific.data.square import domain_pictures

    images = domain_pictures(options.data, options.images, options.say)
    return with_counted_z(published, images, SearchOptions())
