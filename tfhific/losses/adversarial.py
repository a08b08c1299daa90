"""Losses of a discriminator and of the generator that it judges.

Non-saturating: I. Goodfellow et al.: "Generative Adversarial Nets", NeurIPS 2014, arXiv 1406.2661,
section 3. Least squares: X. Mao et al.: "Least Squares Generative Adversarial Networks", ICCV 2017,
arXiv 1611.04076, with labels 1 for real and 0 for generated.

Each function takes what a discriminator puts out, float [..., any shape]; a list or tuple of
outputs (of several scales) counts each of them alike. All return float32 scalars.
"""

from __future__ import annotations

import tensorflow as tf

from tfhific.errors import ArgumentError


def _mean(function, outputs) -> tf.Tensor:
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    if not outputs:
        raise ArgumentError("Expected at least one discriminator's output. Received: none.")
    return tf.add_n([tf.reduce_mean(function(tf.cast(x, tf.float32))) for x in outputs]) / len(
        outputs
    )


def non_saturating_discriminator_loss(real_logits, generated_logits) -> tf.Tensor:
    """`-log D(real) - log(1 - D(generated))`, D the sigmoid of the logits."""
    return _mean(lambda x: tf.nn.softplus(-x), real_logits) + _mean(
        tf.nn.softplus, generated_logits
    )


def non_saturating_generator_loss(generated_logits) -> tf.Tensor:
    """`-log D(generated)`."""
    return _mean(lambda x: tf.nn.softplus(-x), generated_logits)


def least_squares_discriminator_loss(real_outputs, generated_outputs) -> tf.Tensor:
    """`(D(real) - 1)^2 + D(generated)^2`."""
    return _mean(lambda x: tf.square(x - 1.0), real_outputs) + _mean(tf.square, generated_outputs)


def least_squares_generator_loss(generated_outputs) -> tf.Tensor:
    """`(D(generated) - 1)^2`."""
    return _mean(lambda x: tf.square(x - 1.0), generated_outputs)
