"""CDF tables of latents, fitted to what a trained model makes of photographs.

A trained model's rounded latents have heavier tails than the Gaussian whose likelihood trained it,
and where the network says that a latent is all but certain, one in a thousand still is not zero.
Coding them by Gaussian tables pays for both. Here each table is a mixture of zero-mean Gaussians
whose widths are multiples of its own scale (a scale mixture), its weights found by
expectation-maximisation on rounded latents of calibration images. For a model whose likelihood is
logistic it is a mixture of logistics. Scale indexes below the smallest
scale that training knew, which the network gives to the most certain latents, get tables too.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tfc_port.coding import Tables
from tfhific.bitstream import container
from tfhific.codec.transforms import Transforms
from tfhific.errors import ModelError
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.published.rate import bin_mass
from tfhific.published.store import load_hyperprior
from tfhific.published.tables import TAIL_MASS, latent_tables
from tfhific.publishing import dead_zone as dead_zones
from tfhific.publishing.hyperprior import publish, scale_branch, with_stream_of
from tfhific.publishing.options import PublishOptions

WIDTHS = (0.25, 0.35, 0.5, 0.71, 1.0, 1.41, 2.0, 2.83, 4.0, 5.66, 8.0, 16.0)
EXTRA_ROWS = 5
"""Scale indexes below the smallest trained scale that get tables of their own."""

CERTAIN_MASS = 2.0**-12.7
"""A latent that is not zero less often than this is cheaper as an escape than as a symbol: an
escape takes about 21 bits, and a table that allows for it costs every zero of that row a little,
in bits and in the time to code it."""

_REACH = 4095
_WIDEST = 512.0
_PRIOR_COUNT = 100.0
_ROUNDS = 200


QUALITIES = (1.0, 2.5, 4.0, 6.0, 8.0)
"""At which photographs are coded, where a model has more than one rate."""


def publish_hyperprior_run(
    model: Any, name: str, training: dict[str, Any], options: PublishOptions
) -> HyperpriorModel:
    """Publishes a model with a hyperprior as a command asks, its tables fitted to the data.

    See `tfhific.publishing.options.Publisher`.
    """
    options.refuse_others(training["system"], "stretch", "dead_zone", "stream_of")
    if options.stream_of and options.data:
        raise ModelError("Expected `stream_of` or `data`, not both: tables are taken or fitted.")
    if options.stream_of and options.dead_zone:
        raise ModelError("Expected `stream_of` or `dead_zone`, not both: that model's is taken.")
    published = publish(model, name, training, options.stretch, dead_zone=options.dead_zone)
    if options.stream_of:
        return with_stream_of(published, load_hyperprior(options.stream_of))
    return _calibrated(published, options) if options.data else published


def _calibrated(published: HyperpriorModel, options: PublishOptions) -> HyperpriorModel:
    from tqdm import tqdm

    from tfhific.data.folders import Files, list_images, readable

    paths = list_images(options.data)
    paths = paths[:: max(len(paths) // options.images, 1)][: options.images]
    qualities = (1.0,) if published.single_rate else QUALITIES
    with tqdm(total=len(paths), leave=False, disable=not sys.stderr.isatty()) as bar:
        images = (pixels for _, pixels in readable(Files(paths), options.say))
        return calibrate(published, images, qualities, bar.update, options.dead_zone)


def calibrate(
    model: HyperpriorModel,
    images: Iterable[np.ndarray],
    qualities: Sequence[float],
    progress: Callable[[], None] = lambda: None,
    dead_zone: float = 0.0,
) -> HyperpriorModel:
    """A model with tables fitted to images, and with tables below its smallest trained scale.

    Args:
      model: published with the tables of its likelihood.
      images: uint8 [H, W, 3] each; not those that a curve is measured on.
      qualities: at which they are coded.
      progress: called after each image.
      dead_zone: what `model` was published with.

    Returns:
      The model with other tables, another integer branch and so another fingerprint.
    """
    ratio = math.log(model.scales[-1] / model.scales[0]) / (len(model.scales) - 1)
    rows = len(model.scales) + EXTRA_ROWS
    scales = model.scales[0] * np.exp(ratio * (np.arange(rows) - EXTRA_ROWS))
    # Only indexes are moved by what is below them: a scale is what it is.
    centre = model.scale_centre + (EXTRA_ROWS if model.scale_kind == "index" else 0)
    network = model.networks["hyper_synthesis_scale"]
    extended = dataclasses.replace(
        model,
        scales=scales,
        scale_centre=centre,
        floor_row=EXTRA_ROWS,
        branch=scale_branch(
            network,
            scales,
            model.z_tables,
            model.scale_gain,
            centre,
            {"scale_kind": model.scale_kind},
        ),
        y_tables=latent_tables(model.likelihood, scales),
        dead_zone=dead_zones.dead_zone(model.likelihood, scales, dead_zone),
    )
    counts = count_symbols(extended, images, qualities, progress)
    return dataclasses.replace(extended, y_tables=fitted_tables(scales, counts, model.likelihood))


def count_symbols(
    model: HyperpriorModel,
    images: Iterable[np.ndarray],
    qualities: Sequence[float],
    progress: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """How often each magnitude occurs in each row: float64 [rows, _REACH + 1]."""
    transforms = Transforms(model)
    counts = np.zeros([len(model.scales), _REACH + 1])
    for image in images:
        for quality in qualities:
            y = transforms.analyse(image, container.quality_code(quality))
            z = transforms.hyper_analyse(y)
            everything = slice(0, y.shape[0])
            indexes = transforms.indexes(z, everything, y.shape[1])
            symbols = transforms.quantise(y, z, everything, indexes=indexes)
            magnitude = np.minimum(np.abs(symbols), _REACH)
            flat = indexes.astype(np.int64).ravel() * (_REACH + 1) + magnitude.ravel()
            counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)
        progress()
    return counts


def fitted_tables(scales: np.ndarray, counts: np.ndarray, likelihood: str = "gaussian") -> Tables:
    """A table for each scale.

    Args:
      scales: float64 [rows], rising.
      counts: float64 [rows, reach + 1], how often each magnitude was seen.
      likelihood: `gaussian` or `logistic`, the family that the mixtures are of.
    """
    # Before anything is seen, a table is almost what the likelihood was.
    weights = np.where(np.array(WIDTHS) == 1.0, 0.98, 0.02 / (len(WIDTHS) - 1))
    rows = []
    # From the rows that were seen most, up and down: a row that was seen rarely stays near its
    # neighbour.
    start = int(np.argmax(counts.sum(1)))
    found: dict[int, np.ndarray] = {}
    for order in (range(start, len(scales)), range(start - 1, -1, -1)):
        prior = found.get(start, weights)
        for row in order:
            prior = found[row] = fit_weights(scales[row], counts[row], prior, likelihood)
    for row, scale in enumerate(scales):
        rows.append(_mass(scale, found[row], counts[row], likelihood))
    pmfs, minimum = zip(*rows)
    return Tables.from_pmfs(pmfs, np.array(minimum, np.int32))


def fit_weights(
    scale: float, counts: np.ndarray, prior: np.ndarray, likelihood: str = "gaussian"
) -> np.ndarray:
    """Weights of the mixture's components by expectation-maximisation.

    Args:
      scale: the row's.
      counts: float64 [reach + 1], of magnitudes.
      prior: float64 [components], weights that count as much as `_PRIOR_COUNT` symbols.
      likelihood: the components' family.

    Returns:
      float64 [components], summing to 1.
    """
    seen = np.flatnonzero(counts)
    if not len(seen):
        return prior
    likelihoods = np.stack([magnitude_mass(_width(scale, r), seen, likelihood) for r in WIDTHS])
    weights = prior + 1e-3
    weights = weights / weights.sum()
    for _ in range(_ROUNDS):
        # Of a magnitude that no component reaches, all have an equal share, and not 0 / 0.
        shares = weights[:, None] * likelihoods + 1e-300
        shares = shares / shares.sum(0)
        weights = shares @ counts[seen] + _PRIOR_COUNT * prior
        weights = weights / weights.sum()
    return weights


def _width(scale: float, factor: float) -> float:
    return min(scale * factor, max(_WIDEST, scale))


def magnitude_mass(
    scale: float, magnitudes: np.ndarray, likelihood: str = "gaussian"
) -> np.ndarray:
    """Probability of magnitudes of integers under a zero-mean density over unit bins.

    Args:
      scale: standard deviation of a Gaussian, or scale of a logistic.
      magnitudes: integers from 0 on.
      likelihood: `gaussian` or `logistic`.
    """
    # Both signs of all but zero.
    return bin_mass(likelihood, magnitudes, scale) * np.where(magnitudes == 0, 1.0, 2.0)


def _mass(
    scale: float, weights: np.ndarray, counts: np.ndarray, likelihood: str
) -> tuple[np.ndarray, int]:
    """The row's probabilities from -reach to reach, and -reach."""
    magnitudes = np.arange(_REACH + 1)
    parts = (magnitude_mass(_width(scale, r), magnitudes, likelihood) for r in WIDTHS)
    mass = sum(w * part for w, part in zip(weights, parts))
    outside = 1.0 - np.cumsum(mass)
    # The mixture converges slowly where all of it is nearly certain: the count itself decides.
    certain = counts[1:].sum() + _PRIOR_COUNT * outside[0]
    certain = certain < CERTAIN_MASS * (counts.sum() + _PRIOR_COUNT)
    reach = 0 if certain else int(np.argmax(outside <= TAIL_MASS))
    if outside[-1] > TAIL_MASS:
        reach = _REACH
    half = mass[1 : reach + 1] / 2
    return np.concatenate([half[::-1], mass[:1], half]), -reach
