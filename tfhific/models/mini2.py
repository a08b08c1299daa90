"""`mini2`: a small hyperprior codec that computes at 1/16 of the resolution; eight qualities.

D. Minnen, J. Ballé, G. Toderici: "Joint autoregressive and hierarchical priors for learned image
compression", NeurIPS 2018, arXiv 1809.02736 (mean and scale from hyperlatents).
D. He, Y. Zheng, B. Sun, Y. Wang, H. Qin: "Checkerboard context model for efficient learned image
compression", CVPR 2021, arXiv 2103.15306 (the two passes over a checkerboard).

What differs from `mini`:

- Almost all arithmetic is at 1/16 of the image's resolution, in blocks of a depthwise convolution
  and two pointwise ones; two convolutions at 1/4 render the picture from there.
- A latent y is coded as the symbol round(y / step - mean). Its scale follows from the hyperlatents
  alone, so that all symbols are decoded at once. Mean and step follow from the hyperlatents for the
  first half of a checkerboard, from them and the decoded first half for the second.

`tools/train_torch` trains the same networks in PyTorch, three times as quickly on a CPU.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfhific.backend import keras, tfc
from tfhific.models.block_transform import block_transform
from tfhific.models.convolutions import CroppedConv2DTranspose, PaddedConv2D
from tfhific.models.draws import Draws
from tfhific.models.layers import DepthToSpace, InOrder, Parallel, Residual, Scale, SpaceToDepth
from tfhific.models.mini import Mini
from tfhific.models.mini2_config import Mini2Config
from tfhific.models.mini_config import LINEAR_PACE, STRIDE
from tfhific.models.system import TrainableSystem
from tfhific.published.functional import first_half, mean_and_step

SLOPE = 0.1


def _pointwise(filters: int, initializer="glorot_uniform") -> keras.layers.Layer:
    return PaddedConv2D(filters, 1, kernel_initializer=initializer)


def _matrix(matrix: np.ndarray) -> keras.layers.Layer:
    """A pointwise convolution that starts as `matrix` [in, out]."""
    return _pointwise(matrix.shape[1], keras.initializers.Constant(matrix[None, None]))


def _leaky() -> keras.layers.Layer:
    return keras.layers.LeakyReLU(SLOPE)


def _centred_on_one(shape, dtype=None):
    """Depthwise kernels that keep their input, nearly."""
    fan = shape[0] * shape[1]
    kernel = tf.random.uniform(shape, -0.5, 0.5, tf.float32) / math.sqrt(fan)
    one = np.zeros(shape, np.float32)
    one[shape[0] // 2, shape[1] // 2] = 1.0
    return tf.cast(kernel + one, dtype or tf.float32)


def block(width: int, expansion: int, kernel: int) -> keras.layers.Layer:
    """A depthwise convolution and two pointwise ones, added to their input; starts as nothing."""
    return Residual(
        InOrder(
            [
                keras.layers.DepthwiseConv2D(
                    kernel, padding="same", depthwise_initializer=_centred_on_one
                ),
                _pointwise(width * expansion),
                _leaky(),
                _pointwise(width, "zeros"),
            ]
        )
    )


def _blocks(config: Mini2Config, count: int) -> list:
    return [block(config.width, config.expansion, config.block_kernel) for _ in range(count)]


def analysis_transform(config: Mini2Config) -> keras.layers.Layer:
    """Image, float [batch, H, W, 3] about zero, to latents [batch, H/16, W/16, latent_channels]."""
    linear = InOrder(
        [
            _matrix(block_transform(config.latent_channels).T / LINEAR_PACE),
            Scale(LINEAR_PACE),
        ],
        name="linear",
    )
    branch = InOrder(
        [
            # Patches are dominated by their mean; an embedding by the block transform is white.
            _matrix(4.0 * block_transform(config.width).T),
            *_blocks(config, config.encoder_blocks),
            _pointwise(config.latent_channels, "zeros"),
            Scale(0.25),
        ],
        name="branch",
    )
    return InOrder([SpaceToDepth(STRIDE), Parallel([linear, branch])], name="analysis")


def synthesis_transform(config: Mini2Config) -> keras.layers.Layer:
    """Latents [batch, h, w, latent_channels] to an image [batch, 16h, 16w, 3] about zero."""
    deviation = 2.0 / math.sqrt(config.latent_channels)
    linear = InOrder(
        [
            _matrix(block_transform(config.latent_channels) / LINEAR_PACE),
            Scale(LINEAR_PACE),
            DepthToSpace(STRIDE),
        ],
        name="linear",
    )
    branch = InOrder(
        [
            _pointwise(config.width, keras.initializers.RandomNormal(stddev=deviation)),
            *_blocks(config, config.decoder_blocks),
            _pointwise(16 * config.fine_channels),
            DepthToSpace(4),
            _leaky(),
            PaddedConv2D(config.fine_channels, 3),
            _leaky(),
            PaddedConv2D(48, 3, kernel_initializer="zeros"),
            Scale(0.1),
            DepthToSpace(4),
        ],
        name="branch",
    )
    return Parallel([linear, branch], name="synthesis")


def hyper_analysis_transform(config: Mini2Config) -> keras.layers.Layer:
    """Scaled latents [batch, h, w, latent_channels] to hyperlatents [batch, h/4, w/4, .]."""
    n, relu = config.hyper_channels, keras.layers.ReLU
    layers = [_pointwise(2 * n), relu(), PaddedConv2D(n, 5, 2), relu(), PaddedConv2D(n, 5, 2)]
    return InOrder(layers, name="hyper_analysis")


def hyper_synthesis_transform(config: Mini2Config, out: int, name: str) -> keras.layers.Layer:
    """Hyperlatents [batch, h, w, .] to features or scales [batch, 4h, 4w, out]."""
    n, relu = config.hyper_channels, keras.layers.ReLU
    layers = [
        CroppedConv2DTranspose(n, 5, 2),
        relu(),
        CroppedConv2DTranspose(n * 4 // 3, 5, 2),
        relu(),
        _pointwise(out),
    ]
    return InOrder(layers, name=name)


class Mini2(Mini):
    """The trainable codec. Input of `call`: float32 [batch, H, W, 3] in 0..255."""

    FOLDED = (
        "analysis",
        "synthesis",
        "hyper_analysis",
        "hyper_synthesis_scale",
        "context_features",
        "context_first",
        "context_near",
        "context_second",
    )

    config: Mini2Config

    def __init__(self, config: Mini2Config | None = None, clip_norm: float = 1.0, **kwargs) -> None:
        TrainableSystem.__init__(self, **kwargs)
        self.clip_norm = clip_norm
        self.config = config = config or Mini2Config()
        latents, inner = config.latent_channels, config.context_channels
        self.analysis = analysis_transform(config)
        self.synthesis = synthesis_transform(config)
        self.hyper_analysis = hyper_analysis_transform(config)
        self.hyper_synthesis_scale = hyper_synthesis_transform(
            config, latents, "hyper_synthesis_scale"
        )
        self.context_features = hyper_synthesis_transform(config, inner, "context_features")
        self.context_first = InOrder(
            [_leaky(), _pointwise(2 * latents, "zeros")], name="context_first"
        )
        near = keras.layers.DepthwiseConv2D(config.block_kernel, padding="same")
        self.context_near = InOrder([near, _pointwise(inner)], name="context_near")
        self.context_second = InOrder(
            [_leaky(), _pointwise(inner), _leaky(), _pointwise(2 * latents, "zeros")],
            name="context_second",
        )
        self._make_entropy_models()

    def call(
        self,
        images: tf.Tensor,
        quality: tf.Tensor | None = None,
        training: bool = False,
        draws: Draws | None = None,
    ):
        """Codes `images` and returns their reconstruction and the bits it took: see `Mini.call`."""
        if quality is None:
            quality = tf.fill([tf.shape(images)[0]], 5.0)
        gain, inverse_gain = self.gains(quality)
        y = self.analysis(images / 255.0 - 0.5) * gain
        z = self.hyper_analysis(y)
        z_hat = tfc.round_st(z)
        indexes = self.scale_indexes(z_hat)
        features = self.context_features(z_hat)
        mean, step = mean_and_step(self.context_first(features))
        first = first_half(tf.shape(y)[1:3])
        known = tf.where(first, (tfc.round_st(y / step - mean) + mean) * step, 0.0)
        later = mean_and_step(self.context_second(features + self.context_near(known)))
        mean, step = tf.where(first, mean, later[0]), tf.where(first, step, later[1])
        symbols = y / step - mean
        if training:
            draws = draws or Draws.fresh()
            bits_z = self._noisy_bits_z(z, draws.noise("z", z))
            zero = tf.zeros_like(symbols)
            bits_y = self._noisy_bits_y(symbols, indexes, zero, draws.noise("y", y))
        else:
            _, bits_z = self._z_entropy(z, training=False)
            _, bits_y = self._y_entropy(symbols, indexes, training=False)
        y_hat = (tfc.round_st(symbols) + mean) * step
        picture = self.synthesis(y_hat * inverse_gain)
        return (picture + 0.5) * 255.0, bits_y, bits_z

    def parts(self) -> dict[str, list]:
        def variables(*modules) -> list:
            return [v for module in modules for v in module.trainable_variables]

        return {
            "encoder": [*variables(self.analysis), self.log_gain],
            "decoder": [*variables(self.synthesis), self.log_inverse_gain],
            "prior": variables(
                self.hyper_analysis,
                self.hyper_synthesis_scale,
                self.context_features,
                self.context_first,
                self.context_near,
                self.context_second,
                self.z_prior,
            ),
        }
