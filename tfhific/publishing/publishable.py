"""Whether a model can be published, asked before it is trained."""

from __future__ import annotations

from tfhific.errors import ModelError
from tfhific.published.hyperprior import NETWORKS
from tfhific.published.integer_branch import check_form
from tfhific.publishing.fold import fold
from tfhific.runtimes.tiling import Geometry


def folded_parts(model) -> tuple[str, ...]:
    """Names of the networks of a model that publishing folds; none of what is never published.

    Args:
      model: says so by `FOLDED`, or has the networks of a hyperprior codec.
    """
    own = getattr(model, "FOLDED", None)
    if own is None:
        own = NETWORKS if all(hasattr(model, part) for part in NETWORKS) else ()
    return tuple(part for part in own if getattr(model, part) is not None)


def check_publishable(model) -> None:
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
