"""From a published model back to the Keras model that it came from."""

from __future__ import annotations

import numpy as np

from tfhific.errors import ModelError, TfhificError
from tfhific.published.factorized import FactorizedDensity
from tfhific.published.hyperprior import HyperpriorModel


def trainable(published: HyperpriorModel):
    """The Keras model of a published one, with its weights.

    Raises:
      ModelError: when the configuration is not known, or what is published does not fit it.
    """
    settings = published.config or published.training.get("config")
    if settings is None:
        raise ModelError(
            f"The model {published.name!r} does not say how it was configured: it can code, but "
            "no trainable model can be made of it."
        )
    import tensorflow as tf

    from tfhific import systems
    from tfhific.publishing.fold import unfold
    from tfhific.publishing.folding import assign

    try:
        system = systems.known_as(published.system, published.training)
        model = systems.create(system, systems.configuration(system, settings))
        if not all(getattr(model, name).built for name in published.networks):
            model(tf.zeros([1, 64, 64, 3]))
        for name in published.networks:
            unfold(getattr(model, name), name, published.networks[name].weights)
        for name in ("log_gain", "log_inverse_gain"):
            if hasattr(model, name):
                assign(getattr(model, name), name, {name: getattr(published, name)})
        _set_density(model.z_prior, published.density)
        extras = model.extra_variables() if hasattr(model, "extra_variables") else {}
        for name in sorted(set(extras) & set(published.extras)):
            assign(extras[name], name, published.extras)
    except (TfhificError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelError(
            f"The model {published.name!r} does not fit its own configuration: {error}"
        ) from None
    return model


def _set_density(prior, density: FactorizedDensity) -> None:
    """Sets the variables of a prior, which softplus and tanh are applied to."""
    own = getattr(prior, "base", prior)
    groups = (
        ("matrices", density.matrices, lambda v: v + np.log(-np.expm1(-v))),
        ("biases", density.biases, lambda v: v),
        # tanh rounds to one long before its argument is large.
        ("factors", density.factors, lambda v: np.arctanh(np.clip(v, -1 + 1e-7, 1 - 1e-7))),
    )
    for name, values, inverse in groups:
        variables = getattr(own, name) if hasattr(own, name) else getattr(own, f"_{name}")
        for variable, value in zip(variables, values):
            variable.assign(inverse(value.astype(np.float64)).astype(np.float32))
