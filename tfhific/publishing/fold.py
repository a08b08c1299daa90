"""From a trained Keras network to the plain kernels that a codec runs, and back.

Reparameterised kernels (RDFT, GDN's lower-bounded square roots) are evaluated once; what remains
is a list of the layers in `tfhific.published.ops`. Needs Keras and TFC; used when a model is
published, and when a trainable one is made of a published one.

`tfhific.publishing.folding` is the table of Keras layers that fold; `foldings` and `plain_foldings`
fill it.
"""

from __future__ import annotations

from tfhific.backend import keras
from tfhific.published.network import Network

# Imported for what they add to the table.
from tfhific.publishing import foldings, plain_foldings  # noqa: F401
from tfhific.publishing.folding import Arrays, folding_of


def fold(layer: keras.layers.Layer, prefix: str) -> Network:
    """Folds a built Keras network.

    Args:
      layer: of a class in `tfhific.publishing.folding.FOLDINGS`, and so are those in it.
      prefix: begins the names of the network's arrays.

    Raises:
      ModelError: for a layer that has no folded form.
    """
    arrays: Arrays = {}
    return Network(folding_of(layer).fold(layer, prefix, arrays), arrays)


def unfold(layer: keras.layers.Layer, prefix: str, arrays: Arrays) -> None:
    """Sets the variables of a built Keras network; the inverse of `fold`.

    Args:
      layer: see `fold`.
      prefix: began the names of the network's arrays.
      arrays: by name.

    Raises:
      ModelError: where an array is missing or of another shape, or for a layer whose kernel is
        not a variable.
    """
    folding_of(layer).unfold(layer, prefix, arrays)
