"""From a trained Keras model to a published one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfc_port.coding import Tables
from tfhific import systems
from tfhific.errors import ModelError
from tfhific.models.publishable import Publishable, check_interface
from tfhific.published.hyperprior import CHECKERBOARD_NETWORKS, NETWORKS, HyperpriorModel
from tfhific.published.integer_branch import IntegerBranch, quantise, quantise_scales
from tfhific.published.network import Network
from tfhific.published.tables import factorized_tables, latent_tables
from tfhific.publishing import dead_zone as dead_zones
from tfhific.publishing.density import read_density
from tfhific.publishing.publishable import check_networks, folded_parts
from tfhific.publishing.rounding import finite, folded


def publish(
    model: Publishable,
    name: str,
    training: dict | None = None,
    stretch: float = 1.0,
    half: bool = True,
    dead_zone: float = 0.0,
) -> HyperpriorModel:
    """Folds a trained mean-and-scale hyperprior and freezes what its streams depend on.

    Kernels are rounded to half precision: that halves the model's size and is the model from
    then on, for encoder, decoder and estimate alike.

    Args:
      model: built and trained, with the networks in `NETWORKS` as attributes, or those in its own
        `FOLDED` where that is `CHECKERBOARD_NETWORKS`.
      name: of the published model.
      training: how it came about, JSON values; its `system` is a name in `tfhific.systems`.
      stretch: how much further than trained the step from the last quality but one to the last
        goes, in the logarithm of the gains; 1 for as trained. The range of rates ends later.
      half: whether kernels are rounded to half precision.
      dead_zone: see `tfhific.publishing.dead_zone.dead_zone`; 0 for none.

    Raises:
      ModelError: when the model lacks something of `Publishable`, a weight is not finite, or a
        network can't be folded or made integer.
    """
    check_interface(model)
    parts = folded_parts(model)
    checkerboard = sorted(parts) == sorted(CHECKERBOARD_NETWORKS)
    if not checkerboard and sorted(parts) != sorted(NETWORKS):
        check_networks(model, NETWORKS)
        raise ModelError(
            f"Expected a model whose `FOLDED` has the networks {', '.join(NETWORKS)}, or those of "
            f"a checkerboard. Received: {type(model).__name__} with {', '.join(parts)}."
        )
    networks = {part: folded(getattr(model, part), part, half) for part in parts}
    facts = model.codec_facts()
    scales = model.config.scales()
    density = read_density(model.z_prior)
    z_tables = factorized_tables(density)
    gain, centre = model.scale_gain, float(model.scale_centre)
    likelihood = facts.get("likelihood", "gaussian")
    extras = model.extra_variables()
    # A model of one rate has two qualities with the same gains.
    flat = np.zeros([2, model.config.latent_channels], np.float32)
    gains = [
        flat if table is None else _stretched(finite(name, table.numpy()), stretch)
        for name, table in (
            ("log_gain", model.log_gain),
            ("log_inverse_gain", model.log_inverse_gain),
        )
    ]
    return HyperpriorModel(
        name=name,
        system=(training or {}).get("system") or systems.name_of(model),
        networks=networks,
        branch=scale_branch(
            networks["hyper_synthesis_scale"], scales, z_tables, gain, centre, facts
        ),
        scale_gain=gain,
        scale_centre=centre,
        scales=scales,
        density=density,
        y_tables=latent_tables(likelihood, scales),
        z_tables=z_tables,
        log_gain=gains[0],
        log_inverse_gain=gains[1],
        training=training or {},
        config=dataclasses.asdict(model.config) if facts or checkerboard else None,
        dead_zone=dead_zones.dead_zone(likelihood, scales, dead_zone),
        extras={key: finite(key, variable.numpy()) for key, variable in extras.items()},
        **facts,
    )


def scale_branch(
    network: Network,
    scales: np.ndarray,
    z_tables: Tables,
    gain: float,
    centre: float,
    facts: Mapping[str, Any],
) -> IntegerBranch:
    """The integer branch of a scales' network that gives indexes, or the scales themselves.

    Args:
      network: the scales' network.
      scales: float64 [rows], rising.
      z_tables: of the hyperlatents; what they say is typical decides the branch's resolution.
      gain: see `tfhific.published.hyperprior.HyperpriorModel.scale_gain`.
      centre: see there.
      facts: with an entry `scale_kind`, or without for `index`.
    """
    if facts.get("scale_kind", "index") == "index":
        return quantise(network, len(scales), gain, centre)
    return quantise_scales(network, scales, typical_hyperlatents(z_tables))


def typical_hyperlatents(tables: Tables) -> np.ndarray:
    """Hyperlatents drawn from their tables: int32 [17, 8, 8, channels].

    Sixteen with a value for each place and channel, which no photograph has, and one with one
    for each channel, as a surface without detail has.
    """
    rng = np.random.default_rng(0)
    drawn = np.empty([17, 8, 8, tables.rows], np.int32)
    for row in range(tables.rows):
        cdf = tables.cdf(row)
        counts = rng.integers(0, cdf[-1], drawn.shape[:3])
        counts[-1] = counts[-1, 0, 0]
        drawn[..., row] = np.searchsorted(cdf, counts, side="right") - 1 + tables.minimum[row]
    return drawn


def with_stream_of(model: HyperpriorModel, other: HyperpriorModel) -> HyperpriorModel:
    """A model that reads and writes another one's files, by a decoder of its own.

    Args:
      model: published from a run that trained the synthesis transform alone.
      other: whose tables and integer branch, fitted or not, are taken over.

    Raises:
      ModelError: when the two differ in more than that.
    """
    same = ("y_tables", "branch", "scales", "scale_centre", "floor_row", "dead_zone")
    joined: HyperpriorModel | None = None
    with contextlib.suppress(ModelError):
        joined = dataclasses.replace(model, **{name: getattr(other, name) for name in same})
    if joined is None or joined.fingerprint != other.fingerprint:
        raise ModelError(
            f"The run can't decode files of {other.name}: expected one that began with its weights "
            "and kept all but the decoder (`init_from`, `freeze=encoder,prior`)."
        )
    return joined


def _stretched(table: np.ndarray, stretch: float) -> np.ndarray:
    table = table.copy()
    table[-1] = table[-2] + np.float32(stretch) * (table[-1] - table[-2])
    return table
