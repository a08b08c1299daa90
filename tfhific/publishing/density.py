"""The factorised prior of a Keras model as a published density, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfhific.errors import ModelError
from tfhific.models.publishable import EvaluatedPrior
from tfhific.published.factorized import FactorizedDensity


def read_density(prior: Any) -> FactorizedDensity:
    """The density of a prior, its constraints evaluated.

    Args:
      prior: an `EvaluatedPrior`, or TFC's `NoisyDeepFactorized`.

    Raises:
      ModelError: when a variable is not finite.
    """
    variables = _variables(prior)
    for variable in (each for group in variables for each in group):
        if not np.all(np.isfinite(variable.numpy())):
            raise ModelError(
                f"The trained weights {variable.name!r} are not all finite: nothing to publish."
            )
    if isinstance(prior, EvaluatedPrior):
        return FactorizedDensity(*prior.evaluated())

    def evaluated(group: Sequence, constrain: Callable) -> tuple[np.ndarray, ...]:
        return tuple(constrain(v.numpy().astype(np.float64)).astype(np.float32) for v in group)

    matrices, biases, factors = variables
    return FactorizedDensity(
        evaluated(matrices, lambda v: np.logaddexp(v, 0.0)),
        evaluated(biases, lambda v: v),
        evaluated(factors, np.tanh),
    )


def write_density(prior: Any, density: FactorizedDensity) -> None:
    """Sets the variables of a prior, which softplus and tanh are applied to.

    Args:
      prior: see `read_density`.
      density: what it is to be.
    """
    values = (density.matrices, density.biases, density.factors)
    inverses: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
        lambda v: v + np.log(-np.expm1(-v)),
        lambda v: v,
        # tanh rounds to one long before its argument is large.
        lambda v: np.arctanh(np.clip(v, -1 + 1e-7, 1 - 1e-7)),
    )
    for group, arrays, inverse in zip(_variables(prior), values, inverses):
        for variable, array in zip(group, arrays):
            variable.assign(inverse(array.astype(np.float64)).astype(np.float32))


def _variables(prior: Any) -> tuple[Sequence, Sequence, Sequence]:
    """Matrices, biases and factors, before their constraints."""
    if isinstance(prior, EvaluatedPrior):
        return prior.matrices, prior.biases, prior.factors
    own = prior.base
    return own._matrices, own._biases, own._factors
