"""Whether a model can be published, asked before it is trained."""

from __future__ import annotations

from collections.abc import Iterable

from tfhific.errors import ModelError
from tfhific.models.publishable import HyperpriorNetworks, Publishable, PublishedParts
from tfhific.published.hyperprior import NETWORKS
from tfhific.published.integer_branch import check_form
from tfhific.publishing.fold import fold
from tfhific.runtimes.tiling import Geometry


def folded_parts(model: Publishable | PublishedParts) -> tuple[str, ...]:
    """Names of the networks of a model that publishing folds; none of what is never published.

    Args:
      model: says so by `FOLDED`, or has the networks of a hyperprior codec.
    """
    own = model.FOLDED
    if not own and isinstance(model, HyperpriorNetworks):
        own = NETWORKS
    return tuple(part for part in own if getattr(model, part) is not None)


def check_networks(model: object, names: Iterable[str]) -> None:
    """Refuses a model without some of the networks that its published form is made of.

    Raises:
      ModelError: naming those that are missing.
    """
    missing = [name for name in names if not hasattr(model, name)]
    if missing:
        raise ModelError(
            f"Expected a model with the networks {', '.join(names)} as attributes. "
            f"{type(model).__name__} lacks {', '.join(missing)}."
        )


def check_publishable(model: PublishedParts) -> None:
    """Refuses a model that could be trained but not published.

    Args:
      model: a Keras model with its variables made.

    Raises:
      ModelError: naming the layer.
    """
    try:
        for part in folded_parts(model):
            network = fold(getattr(model, part), part)
            if part in NETWORKS:
                # Refuses what can't run in tiles, as these have to.
                Geometry.of(network)
            if part == "hyper_synthesis_scale":
                check_form(network)
    except ModelError as error:
        raise ModelError(f"This model could be trained, but never published: {error}") from None
