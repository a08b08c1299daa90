"""Feature matching: generated images are to look like real ones from inside a discriminator.

T. Salimans et al.: "Improved Techniques for Training GANs", NeurIPS 2016, arXiv 1606.03498;
in the form of T.-C. Wang et al.: "High-Resolution Image Synthesis and Semantic Manipulation with
Conditional GANs", CVPR 2018, arXiv 1711.11585, equation 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfhific.errors import ArgumentError


def feature_matching_loss(real: Sequence, generated: Sequence) -> tf.Tensor:
    """The mean absolute difference of features, averaged over all layers of all discriminators.

    Args:
      real: tensors, or sequences of them nested to any depth, of a discriminator on originals:
        `[[layer, ...] for each discriminator]`. No gradient goes through them.
      generated: the same for generated images. Shapes are those of `real`.

    Returns:
      float32 scalar.

    Raises:
      ArgumentError: when the two are not nested alike, hold no feature, or shapes differ.
    """
    tf.nest.assert_same_structure(_listed(real), _listed(generated))
    pairs = list(zip(tf.nest.flatten(_listed(real)), tf.nest.flatten(_listed(generated))))
    if not pairs:
        raise ArgumentError("Expected at least one layer's features to match. Received: none.")
    total = tf.zeros([], tf.float32)
    for one, other in pairs:
        if not one.shape.is_compatible_with(other.shape):
            raise ArgumentError(
                f"Expected features of one shape. Received: {one.shape} and {other.shape}."
            )
        difference = tf.stop_gradient(tf.cast(one, tf.float32)) - tf.cast(other, tf.float32)
        total += tf.reduce_mean(tf.abs(difference))
    return total / len(pairs)


def _listed(nested):
    """Sequences of any kind as lists, so that a list and a tuple are nested alike."""
    if isinstance(nested, (list, tuple)):
        return [_listed(part) for part in nested]
    return tf.convert_to_tensor(nested)
