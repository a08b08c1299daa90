"""From a trained Keras model to a published one."""

from __future__ import annotations

import numpy as np

from tfhific.codec.factorized import FactorizedDensity
from tfhific.codec.fold import fold
from tfhific.codec.integer_branch import quantise
from tfhific.codec.model import NETWORKS, Model
from tfhific.codec.network import Network
from tfhific.codec.tables import factorized_tables, gaussian_tables
from tfhific.errors import ModelError


def publish(model, name: str, training: dict | None = None, stretch: float = 1.0) -> Model:
    """Folds a trained mean-and-scale hyperprior and freezes what its streams depend on.

    Kernels are rounded to half precision: that halves the model's size and is the model from
    then on, for encoder, decoder and estimate alike.

    Args:
      model: built and trained, with the transforms named in `NETWORKS` as attributes.
      name: of the published model.
      training: how it came about, JSON values.
      stretch: how much further than trained the step from the last quality but one to the last
        goes, in the logarithm of the gains; 1 for as trained. The range of rates ends later.

    Raises:
      ModelError: when a weight is not finite or the network can't be folded or made integer.
    """
    networks = {part: _halve(fold(getattr(model, part), part)) for part in NETWORKS}
    scales = model.config.scales()
    gain, centre = model.scale_gain, float(model.scale_centre)
    density = _density(model.z_prior)
    return Model(
        name=name,
        system=type(model).__name__.lower(),
        networks=networks,
        branch=quantise(networks["hyper_synthesis_scale"], len(scales), gain, centre),
        scale_gain=gain,
        scale_centre=centre,
        scales=scales,
        density=density,
        y_tables=gaussian_tables(scales),
        z_tables=factorized_tables(density),
        log_gain=_stretched(_finite("log_gain", model.log_gain.numpy()), stretch),
        log_inverse_gain=_stretched(
            _finite("log_inverse_gain", model.log_inverse_gain.numpy()), stretch
        ),
        training=training or {},
    )


def _finite(name: str, value: np.ndarray) -> np.ndarray:
    if not np.all(np.isfinite(value)):
        raise ModelError(f"The trained weights {name!r} are not all finite: nothing to publish.")
    return value


def _stretched(table: np.ndarray, stretch: float) -> np.ndarray:
    table = table.copy()
    table[-1] = table[-2] + np.float32(stretch) * (table[-1] - table[-2])
    return table


def _halve(network: Network) -> Network:
    return Network(
        network.layers,
        {
            key: _finite(key, value.astype(np.float16).astype(np.float32))
            for key, value in network.weights.items()
        },
    )


def _density(prior) -> FactorizedDensity:
    """The density network of TFC's `NoisyDeepFactorized`, its constraints evaluated."""
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
