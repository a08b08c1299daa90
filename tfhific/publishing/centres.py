"""From a trained `gc` or `sc` to a published model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from tfhific.bitstream.kept import blocks_of
from tfhific.codec import centre_prior
from tfhific.codec.centres import CentresCodec
from tfhific.codec.sizes import size_of
from tfhific.errors import ModelError
from tfhific.published.code import CodeModel
from tfhific.publishing.options import PublishOptions
from tfhific.publishing.publishable import folded_parts
from tfhific.publishing.rounding import folded


def publish_extreme(
    model,
    name: str,
    training: dict | None = None,
    pictures: Iterable[tuple[np.ndarray, np.ndarray | None]] | None = None,
    prior: str = "static",
) -> CodeModel:
    """Folds a trained `Extreme` and freezes the probabilities of its centres.

    Args:
      model: built and trained.
      name: of the published model.
      training: how it came about, JSON values.
      pictures: uint8 [H, W, 3] each, and bool [H, W] of what is kept or None for all: those that
        the probabilities are counted over. None to take the shares that training kept track of,
        which a static prior can do with.
      prior: `static` or `hyper`; see `tfhific.codec.centre_prior`.

    Raises:
      ModelError: when a weight is not finite, or a prior can't be had from what is given.
    """
    config = model.config
    if prior not in centre_prior.PRIORS:
        known = ", ".join(centre_prior.PRIORS)
        raise ModelError(f"Expected a prior among {known}. Received: {prior!r}.")
    if prior == "hyper" and pictures is None:
        raise ModelError("A hyper prior is counted over pictures: name some with `data`.")
    centres = model.quantizer.centres.numpy()
    if not np.all(np.isfinite(centres)) or len(np.unique(centres)) < len(centres):
        raise ModelError(
            f"The quantiser's centres have collapsed, or are not finite: {centres.tolist()}."
        )
    published = CodeModel(
        name=name,
        system="sc" if config.maps == "selective" else "gc",
        networks={part: folded(getattr(model, part), part) for part in folded_parts(model)},
        tables={"code": centre_prior.static_tables(model.shares.numpy())},
        decoding={
            "centres": [float(centre) for centre in np.sort(centres)],
            "channels": config.bottleneck,
            "classes": config.classes if config.sees_maps else 0,
            "class_names": list(config.class_names) if config.sees_maps else [],
            "maps": config.maps if config.sees_maps else "none",
            "noise": config.noise,
            "prior": "static",
        },
        # What a code means is the encoder's choice; several generators can learn to read it.
        defining=("encoder",),
        training=training or {},
    )
    if pictures is None:
        return published
    return with_counted_prior(published, pictures, prior)


def with_counted_prior(
    published: CodeModel,
    pictures: Iterable[tuple[np.ndarray, np.ndarray | None]],
    prior: str,
) -> CodeModel:
    """The same model with the probabilities of its centres counted over pictures.

    Args:
      published: a `gc` or `sc`.
      pictures: as `publish_extreme` takes them.
      prior: `static` or `hyper`.
    """
    codec = CentresCodec(published)
    codes = []
    for image, kept in pictures:
        symbols = codec.symbols_of(image)
        blocks = np.ones(size_of(symbols), np.bool_)
        if kept is not None:
            blocks = blocks_of(kept, size_of(symbols), 16)
        codes.append((symbols, blocks))
    channels, centres = codec.channels, len(codec.centres)
    if prior == "hyper":
        tables = centre_prior.context_tables(codes, channels, centres)
    else:
        counts = centre_prior.count_static(codes, channels, centres)
        tables = centre_prior.static_tables(counts)
    return dataclasses.replace(
        published,
        tables={**published.tables, "code": tables},
        decoding={**published.decoding, "prior": prior},
    )


def publish_extreme_run(
    model: Any, name: str, training: dict[str, Any], options: PublishOptions
) -> CodeModel:
    """Publishes an `Extreme` as a command asks, its probabilities counted over all of the data.

    See `tfhific.publishing.options.Publisher`.
    """
    options.refuse_others(training["system"], "prior")
    pictures: Iterable[tuple[np.ndarray, np.ndarray | None]] | None = None
    if options.data and model.config.maps == "selective":
        from tfhific.data.labelled import kept_pictures

        pictures = kept_pictures(options.data, model.config.classes, options.say)
    elif options.data:
        from tfhific.data.folders import Files, list_images, readable

        files = Files(list_images(options.data))
        pictures = ((pixels, None) for _, pixels in readable(files, options.say))
    return publish_extreme(model, name, training, pictures, options.prior)
