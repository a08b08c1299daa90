"""From a trained Keras model to a published one."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np

from tfc_port.coding import Tables
from tfhific import systems
from tfhific.errors import ModelError
from tfhific.published.factorized import FactorizedDensity
from tfhific.published.hyperprior import CHECKERBOARD_NETWORKS, NETWORKS, Model
from tfhific.published.integer_branch import IntegerBranch, quantise, quantise_scales
from tfhific.published.network import Network
from tfhific.published.tables import factorized_tables, latent_tables
from tfhific.publishing.fold import fold


def publish(
    model,
    name: str,
    training: dict | None = None,
    stretch: float = 1.0,
    half: bool = True,
) -> Model:
    """Folds a trained mean-and-scale hyperprior and freezes what its streams depend on.

    Kernels are rounded to half precision: that halves the model's size and is the model from
    then on, for encoder, decoder and estimate alike.

    Args:
      model: built and trained, with the transforms named in `NETWORKS` as attributes (with
        `checkerboard` true: in `CHECKERBOARD_NETWORKS`), a `z_prior`, and a `config` with
        `scales()`. A model of many rates has `log_gain` and `log_inverse_gain`; one whose
        networks are not like `mini`'s says so in `codec_facts()`.
      name: of the published model.
      training: how it came about, JSON values; its `system` is the registry's name.
      stretch: how much further than trained the step from the last quality but one to the last
        goes, in the logarithm of the gains; 1 for as trained. The range of rates ends later.
      half: whether kernels are rounded to half precision.

    Raises:
      ModelError: when a weight is not finite or the network can't be folded or made integer.
    """
    checkerboard = getattr(model, "checkerboard", False)
    parts = CHECKERBOARD_NETWORKS if checkerboard else NETWORKS
    networks = {part: _rounded(fold(getattr(model, part), part), half) for part in parts}
    facts = model.codec_facts() if hasattr(model, "codec_facts") else {}
    scales = model.config.scales()
    density = _density(model.z_prior)
    z_tables = factorized_tables(density)
    gain, centre = getattr(model, "scale_gain", 1.0), float(getattr(model, "scale_centre", 0.0))
    likelihood = facts.get("likelihood", "gaussian")
    extras = model.extra_variables() if hasattr(model, "extra_variables") else {}
    # A model of one rate has two qualities with the same gains.
    flat = np.zeros([2, model.config.latent_channels], np.float32)
    gains = [
        _stretched(_finite(name, getattr(model, name).numpy()), stretch)
        if hasattr(model, name)
        else flat
        for name in ("log_gain", "log_inverse_gain")
    ]
    return Model(
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
        extras={key: _finite(key, variable.numpy()) for key, variable in extras.items()},
        **facts,
    )


def scale_branch(
    network: Network, scales: np.ndarray, z_tables: Tables, gain: float, centre: float, facts: dict
) -> IntegerBranch:
    """The integer branch of a scales' network that gives indexes, or the scales themselves.

    Args:
      network: the scales' network.
      scales: float64 [rows], rising.
      z_tables: of the hyperlatents; what they say is typical decides the branch's resolution.
      gain: see `tfhific.published.hyperprior.Model.scale_gain`.
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


def with_stream_of(model: Model, other: Model) -> Model:
    """A model that reads and writes another one's files, by a decoder of its own.

    Args:
      model: published from a run that trained the synthesis transform alone.
      other: whose tables and integer branch, fitted or not, are taken over.

    Raises:
      ModelError: when the two differ in more than that.
    """
    same = ("y_tables", "branch", "scales", "scale_centre", "floor_row")
    joined: Model | None = None
    with contextlib.suppress(ModelError):
        joined = dataclasses.replace(model, **{name: getattr(other, name) for name in same})
    if joined is None or joined.fingerprint != other.fingerprint:
        raise ModelError(
            f"The run can't decode files of {other.name}: expected one that began with its weights "
            "and kept all but the decoder (`init_from`, `freeze=encoder,prior`)."
        )
    return joined


def _finite(name: str, value: np.ndarray) -> np.ndarray:
    if not np.all(np.isfinite(value)):
        raise ModelError(f"The trained weights {name!r} are not all finite: nothing to publish.")
    return value


def _stretched(table: np.ndarray, stretch: float) -> np.ndarray:
    table = table.copy()
    table[-1] = table[-2] + np.float32(stretch) * (table[-1] - table[-2])
    return table


def _rounded(network: Network, half: bool) -> Network:
    def rounded(value: np.ndarray) -> np.ndarray:
        return value.astype(np.float16).astype(np.float32) if half else value

    weights = {key: _finite(key, rounded(value)) for key, value in network.weights.items()}
    return Network(network.layers, weights)


def _density(prior) -> FactorizedDensity:
    """The density of a prior, its constraints evaluated: our own, or `NoisyDeepFactorized`."""
    if hasattr(prior, "evaluated"):
        for variable in prior.trainable_variables:
            _finite(variable.name, variable.numpy())
        return FactorizedDensity(*prior.evaluated())
    base = prior.base

    def arrays(variables, constrain):
        return tuple(
            constrain(_finite(v.name, v.numpy()).astype(np.float64)).astype(np.float32)
            for v in variables
        )

    return FactorizedDensity(
        arrays(base._matrices, lambda v: np.logaddexp(v, 0.0)),
        arrays(base._biases, lambda v: v),
        arrays(base._factors, np.tanh),
    )
