"""A discriminator that says what is where, rather than whether it is real.

M. J. Muckley, A. El-Nouby, K. Ullrich, H. Jégou, J. Verbeek: "Improving Statistical Fidelity for
Neural Image Compression with Implicit Local Likelihood Models", ICML 2023, arXiv 2301.11189,
section 3. Every place of an original has a label, given by a vector-quantised autoencoder
(`tfhific.models.labels`). The discriminator tells the labels of originals, and answers "generated"
for the compressor's pictures; the compressor is to be taken for the original's labels.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.models.convolutions import PaddedConv2D
from tfhific.models.hific_networks import Discriminator, NetworkSizes

STRIDE = 8
"""Labels and logits have this share of the image's resolution."""


class LabelDiscriminator(Discriminator):
    """HiFiC's discriminator with an answer for each label, and one for "generated".

    Input of `call`: images float [batch, H, W, 3] in the networks' range, and latents
    [batch, H/16, W/16, latent_channels]. Output: logits float [batch, H/8, W/8, 1 + labels],
    "generated" first.
    """

    def __init__(self, sizes: NetworkSizes, labels: int, **kwargs) -> None:
        super().__init__(dataclasses.replace(sizes, variant="official"), **kwargs)
        self.labels = labels
        # Without spectral norm: a bounded slope can't tell a thousand labels apart.
        self.head = PaddedConv2D(labels + 1, 1)


def label_discriminator_loss(
    real_logits: tf.Tensor, generated_logits: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, dict]:
    """Cross-entropy of an original's labels and of "generated" (equation 7).

    Args:
      real_logits: float [batch, h, w, 1 + labels], of originals.
      generated_logits: the same of generated pictures.
      labels: int32 [batch, h, w], the originals', from 0.

    Returns:
      float32 scalar, and a dict for the log: the loss, the probability that an original is taken
      for one, that a generated picture is, and the share of labels that were told right.
    """
    real, generated = (tf.cast(x, tf.float32) for x in (real_logits, generated_logits))
    targets = labels + 1
    loss = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(targets, real)
    ) + tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros_like(targets), generated)
    )
    right = tf.cast(tf.argmax(real, -1, tf.int32) == targets, tf.float32)
    return loss, {
        "discriminator_loss": loss,
        "d_real": 1.0 - tf.nn.softmax(real)[..., 0],
        "d_fake": 1.0 - tf.nn.softmax(generated)[..., 0],
        "labels_right": right,
    }


def label_generator_loss(generated_logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the original's labels on a generated picture: float32 scalar (equation 8).

    Args:
      generated_logits: float [batch, h, w, 1 + labels].
      labels: int32 [batch, h, w], the originals', from 0.
    """
    logits = tf.cast(generated_logits, tf.float32)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels + 1, logits))
