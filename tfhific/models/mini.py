"""`mini`: a small mean-and-scale hyperprior codec, one network for eight qualities.

J. Ballé, D. Minnen, S. Singh, S. J. Hwang, N. Johnston: "Variational image compression with a
scale hyperprior", ICLR 2018, arXiv 1802.01436.
D. Minnen, J. Ballé, G. Toderici: "Joint autoregressive and hierarchical priors for learned image
compression", NeurIPS 2018, arXiv 1809.02736 (the mean-and-scale hyperprior, without its context
model).

Three things differ from the papers, all of them for the sake of a few hours of training on a CPU:

- Each transform is the sum of a linear block transform, which starts as the 16x16 DCT over
  decorrelated colours, and a non-linear branch that starts at zero. Training therefore starts at
  the quality of a classical transform codec and improves on it.
- The quality is a real number from 1 to 8. It scales the latents by learned per-channel gains,
  whose logarithms are interpolated linearly between the eight that are trained.
- The distortion sees latents rounded about their means (straight through); the rate sees uniform
  noise.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import tensorflow as tf

from tfhific.backend import keras, tfc
from tfhific.errors import TfhificError
from tfhific.models.block_transform import block_transform
from tfhific.models.draws import Draws
from tfhific.models.layers import (
    GDN,
    DepthToSpace,
    InOrder,
    Parallel,
    Residual,
    Scale,
    SpaceToDepth,
)
from tfhific.models.mini_config import LINEAR_PACE, NUM_QUALITIES, STRIDE, MiniConfig
from tfhific.models.system import TrainableSystem, TrainingOptions

_convolution = functools.partial(
    tfc.SignalConv2D, padding="same_zeros", use_bias=True, kernel_parameter="variable"
)


def _conv(filters: int, kernel: int, stride: int = 1, *, zero: bool = False, activation=None):
    return _convolution(
        filters,
        (kernel, kernel),
        corr=True,
        strides_down=stride,
        activation=activation,
        **({"kernel_initializer": "zeros"} if zero else {}),
    )


def _deconv(filters: int, kernel: int, stride: int, *, activation=None):
    return _convolution(
        filters,
        (kernel, kernel),
        corr=False,
        strides_up=stride,
        activation=activation,
    )


def _pointwise(matrix: np.ndarray):
    """A 1x1 convolution that starts as `matrix` [in, out]."""
    return _convolution(
        matrix.shape[1],
        (1, 1),
        corr=True,
        kernel_initializer=keras.initializers.Constant(matrix[None, None]),
    )


def _residual_block(channels: int):
    return Residual(
        InOrder(
            [
                _conv(channels, 3),
                keras.layers.LeakyReLU(0.1),
                _conv(channels, 3, zero=True),
            ]
        )
    )


def analysis_transform(config: MiniConfig) -> keras.layers.Layer:
    """Image, float [batch, H, W, 3] about zero, to latents [batch, H/16, W/16, latent_channels]."""
    linear = InOrder(
        [
            SpaceToDepth(STRIDE),
            _pointwise(block_transform(config.latent_channels).T / LINEAR_PACE),
            Scale(LINEAR_PACE),
        ],
        name="linear",
    )
    branch = InOrder(
        [
            SpaceToDepth(4),
            _conv(config.fine_channels, 3),
            GDN(),
            _conv(config.coarse_channels, 5, 2),
            GDN(),
            *[_residual_block(config.coarse_channels) for _ in range(config.num_blocks)],
            _conv(config.latent_channels, 5, 2, zero=True),
            Scale(0.25),
        ],
        name="branch",
    )
    return Parallel([linear, branch], name="analysis")


def synthesis_transform(config: MiniConfig) -> keras.layers.Layer:
    """Latents [batch, h, w, latent_channels] to an image [batch, 16h, 16w, 3] about zero."""
    linear = InOrder(
        [
            _pointwise(block_transform(config.latent_channels) / LINEAR_PACE),
            Scale(LINEAR_PACE),
            DepthToSpace(STRIDE),
        ],
        name="linear",
    )
    branch = InOrder(
        [
            _deconv(config.coarse_channels, 5, 2),
            GDN(inverse=True),
            *[_residual_block(config.coarse_channels) for _ in range(config.num_blocks)],
            _deconv(config.fine_channels, 5, 2),
            GDN(inverse=True),
            _conv(48, 3, zero=True),
            Scale(0.1),
            DepthToSpace(4),
        ],
        name="branch",
    )
    return Parallel([linear, branch], name="synthesis")


def hyper_analysis_transform(config: MiniConfig) -> keras.layers.Layer:
    """Scaled latents [batch, h, w, latent_channels] to hyperlatents [batch, h/4, w/4, .]."""
    n = config.hyper_channels
    return InOrder(
        [_conv(n, 3, activation=tf.nn.relu), _conv(n, 5, 2, activation=tf.nn.relu), _conv(n, 5, 2)],
        name="hyper_analysis",
    )


def hyper_synthesis_transform(config: MiniConfig, name: str) -> keras.layers.Layer:
    """Hyperlatents [batch, h, w, .] to one number a latent [batch, 4h, 4w, latent_channels]."""
    n = config.hyper_channels
    return InOrder(
        [
            _deconv(n, 5, 2, activation=tf.nn.relu),
            _deconv(n * 4 // 3, 5, 2, activation=tf.nn.relu),
            _conv(config.latent_channels, 3),
        ],
        name=name,
    )


class Mini(TrainableSystem):
    """The trainable codec. Input of `call`: float32 [batch, H, W, 3] in 0..255."""

    def __init__(self, config: MiniConfig | None = None, clip_norm: float = 1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.clip_norm = clip_norm
        self.config = config = config or MiniConfig()
        self.analysis = analysis_transform(config)
        self.synthesis = synthesis_transform(config)
        self.hyper_analysis = hyper_analysis_transform(config)
        self.hyper_synthesis_mean = hyper_synthesis_transform(config, "hyper_synthesis_mean")
        self.hyper_synthesis_scale = hyper_synthesis_transform(config, "hyper_synthesis_scale")
        self._make_entropy_models()

    def _make_entropy_models(self) -> None:
        """The priors of z and y, and the gains."""
        config = self.config
        self.z_prior = tfc.NoisyDeepFactorized(batch_shape=(config.hyper_channels,))
        self._z_entropy = tfc.ContinuousBatchedEntropyModel(
            self.z_prior, coding_rank=3, compression=False, offset_heuristic=False
        )
        first = math.log(config.scale_min)
        step = (math.log(config.scale_max) - first) / (config.num_scales - 1)
        # The scale network's output starts near zero: this puts it at a deviation of one.
        self.scale_gain = 8.0
        self.scale_centre = -first / step
        self._prior_of = lambda index: tfc.NoisyNormal(loc=0.0, scale=tf.exp(first + step * index))
        self._y_entropy = tfc.LocationScaleIndexedEntropyModel(
            tfc.NoisyNormal,
            config.num_scales,
            lambda index: tf.exp(first + step * index),
            coding_rank=3,
            compression=False,
        )
        # A uniform quantiser on an orthonormal transform is optimal for lambda at a step of
        # sqrt(26 / lambda) on the 0..255 scale (high-rate approximation): the gains start there.
        start = 255.0 * np.sqrt(
            np.exp(config.log_lambda(np.arange(1.0, NUM_QUALITIES + 1.0))) / 26.0
        )
        start = np.log(start)[:, None] * np.ones([1, config.latent_channels])
        initial = keras.initializers.Constant(start)
        shape = (NUM_QUALITIES, config.latent_channels)
        self.log_gain = self.add_weight(name="log_gain", shape=shape, initializer=initial)
        self.log_inverse_gain = self.add_weight(
            name="log_inverse_gain", shape=shape, initializer=keras.initializers.Constant(-start)
        )

    def gains(self, quality: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Gains at real qualities: two float32 [batch, 1, 1, latent_channels]."""
        position = tf.clip_by_value(quality - 1.0, 0.0, NUM_QUALITIES - 1.0)
        below = tf.minimum(tf.floor(position), NUM_QUALITIES - 2.0)
        share = (position - below)[:, None]
        below = tf.cast(below, tf.int32)

        def interpolate(table):
            low, high = tf.gather(table, below), tf.gather(table, below + 1)
            return tf.exp(low + share * (high - low))[:, None, None, :]

        return interpolate(self.log_gain), interpolate(self.log_inverse_gain)

    def scale_indexes(self, z_hat: tf.Tensor) -> tf.Tensor:
        """Real scale indexes, not yet bounded to 0 .. num_scales - 1."""
        return self.scale_gain * self.hyper_synthesis_scale(z_hat) + self.scale_centre

    def call(
        self,
        images: tf.Tensor,
        quality: tf.Tensor | None = None,
        training: bool = False,
        draws: Draws | None = None,
    ):
        """Codes `images` and returns their reconstruction with the bits it took.

        Args:
          images: float32 [batch, H, W, 3] in 0..255, sides multiples of 64.
          quality: float32 [batch], 1..8; None for 5.
          training: noisy bits when True, bits of the rounded latents when False.
          draws: the noise of the noisy bits; None for one that differs from call to call.

        Returns:
          Reconstruction float32 [batch, H, W, 3] in 0..255 (not clipped), bits of y [batch] and
          bits of z [batch].
        """
        if quality is None:
            quality = tf.fill([tf.shape(images)[0]], 5.0)
        gain, inverse_gain = self.gains(quality)
        y = self.analysis(images / 255.0 - 0.5) * gain
        z = self.hyper_analysis(y)
        z_hat = tfc.round_st(z)
        mean = self.hyper_synthesis_mean(z_hat)
        indexes = self.scale_indexes(z_hat)
        if training:
            draws = draws or Draws.fresh()
            bits_z = self._noisy_bits_z(z, draws.noise("z", z))
            bits_y = self._noisy_bits_y(y, indexes, mean, draws.noise("y", y))
        else:
            _, bits_z = self._z_entropy(z, training=False)
            _, bits_y = self._y_entropy(y, indexes, loc=mean, training=False)
        y_hat = tfc.round_st(y - mean) + mean
        picture = self.synthesis(y_hat * inverse_gain)
        return (picture + 0.5) * 255.0, bits_y, bits_z

    def _noisy_bits_z(self, z: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return _bits(self.z_prior.log_prob(z + noise))

    # Compiled because it is a long chain of element-wise operations: half the time on a CPU.
    @tf.function(jit_compile=True)
    def _noisy_bits_y(self, y, indexes, mean, noise):
        indexes = tfc.upper_bound(tfc.lower_bound(indexes, 0.0), self.config.num_scales - 1.0)
        return _bits(self._prior_of(indexes).log_prob(y - mean + noise))

    def losses_of(self, images: tf.Tensor, quality: tf.Tensor, training: bool | Draws) -> dict:
        """Rate, distortion and their weighted sum; each float32 [batch] but `loss`, a scalar.

        Args:
          images: float32 [batch, H, W, 3] in 0..255, sides multiples of 64.
          quality: float32 [batch], 1..8.
          training: False for bits of rounded latents, True or the step's draws for noisy ones.
        """
        draws = training if isinstance(training, Draws) else None
        reconstruction, bits_y, bits_z = self(images, quality, training=bool(training), draws=draws)
        pixels = tf.cast(tf.shape(images)[1] * tf.shape(images)[2], tf.float32)
        mse = tf.reduce_mean(tf.math.squared_difference(images, reconstruction), (1, 2, 3))
        log_lambda = self.config.log_lambda(quality)
        # Both rate and lambda * MSE grow about as lambda^(1/3) along the operational curve; the
        # weight makes the relative cost of every quality count alike.
        middle = self.config.log_lambda(0.5 * (NUM_QUALITIES + 1))
        weight = tf.exp((middle - log_lambda) / 3.0)
        bpp = (bits_y + bits_z) / pixels
        loss = tf.reduce_mean(weight * (bpp + tf.exp(log_lambda) * mse))
        return {
            "loss": loss,
            "bpp": bpp,
            "bpp_y": bits_y / pixels,
            "bpp_z": bits_z / pixels,
            "mse": mse,
            "psnr": 10.0 * tf.math.log(255.0**2 / tf.maximum(mse, 1e-9)) / math.log(10.0),
        }

    def check_options(self, options: TrainingOptions) -> None:
        super().check_options(options)
        if options.precision != "float32":
            raise TfhificError(
                "`precision`: the layers of mini compute in float32 only. "
                f"Received: {options.precision!r}."
            )

    def build_for(self, options: TrainingOptions) -> None:
        if options.crop % 64:
            raise TfhificError(f"`crop`: expected a multiple of 64. Received: {options.crop}.")
        self(tf.zeros([1, options.crop, options.crop, 3]), tf.ones([1]))

    def parts(self) -> dict[str, list]:
        def variables(*modules) -> list:
            return [v for module in modules for v in module.trainable_variables]

        return {
            "encoder": [*variables(self.analysis), self.log_gain],
            "decoder": [*variables(self.synthesis), self.log_inverse_gain],
            "prior": variables(
                self.hyper_analysis,
                self.hyper_synthesis_mean,
                self.hyper_synthesis_scale,
                self.z_prior,
            ),
        }

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data) -> dict:
        """One step on images uint8 or float [batch, H, W, 3]; qualities are drawn, stratified."""

        def loss_of(images, draws: Draws) -> tuple[tf.Tensor, dict]:
            images = tf.cast(images, tf.float32)
            batch = tf.shape(images)[0]
            # One quality from each of `batch` equal intervals: every step sees low and high rates.
            slots = tf.range(tf.cast(batch, tf.float32)) + draws.uniform("quality", [batch])
            quality = 1.0 + (NUM_QUALITIES - 1.0) * slots / tf.cast(batch, tf.float32)
            parts = self.losses_of(images, quality, draws)
            return parts["loss"], parts

        return self.minimise(loss_of, data)

    def reconstructions(self, samples: np.ndarray) -> dict:
        decoded, _, _ = self(samples, tf.constant([1.0, 4.0, 8.0]))
        both = tf.concat([samples, decoded], axis=2) / 255.0
        return {"original_and_reconstruction_at_1_4_8": tf.clip_by_value(both, 0.0, 1.0)}


def _bits(log_probability: tf.Tensor) -> tf.Tensor:
    """Bits of each batch element: float32 [batch] of natural logarithms [batch, h, w, c]."""
    return tf.reduce_sum(log_probability, (1, 2, 3)) / -math.log(2.0)
