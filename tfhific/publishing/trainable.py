"""From a published model back to the Keras model that it came from."""

from __future__ import annotations

from tfhific.errors import ModelError, TfhificError
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
    from tfhific import systems
    from tfhific.models.publishable import check_interface
    from tfhific.publishing.density import write_density
    from tfhific.publishing.fold import unfold
    from tfhific.publishing.folding import assign
    from tfhific.publishing.publishable import check_networks

    try:
        system = systems.known_as(published.system, published.training)
        model = systems.create(system, systems.configuration(system, settings))
        check_interface(model)
        check_networks(model, published.networks)
        if not all(getattr(model, name).built for name in published.networks):
            model.build_variables()
        for name in published.networks:
            unfold(getattr(model, name), name, published.networks[name].weights)
        for name, variable, value in (
            ("log_gain", model.log_gain, published.log_gain),
            ("log_inverse_gain", model.log_inverse_gain, published.log_inverse_gain),
        ):
            if variable is not None:
                assign(variable, name, {name: value})
        write_density(model.z_prior, published.density)
        extras = model.extra_variables()
        for name in sorted(set(extras) & set(published.extras)):
            assign(extras[name], name, published.extras)
    except (TfhificError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelError(
            f"The model {published.name!r} does not fit its own configuration: {error}"
        ) from None
    return model
