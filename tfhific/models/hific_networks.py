"""The networks of HiFiC, layer by layer, in both of their public forms.

F. Mentzer, G. Toderici, M. Tschannen, E. Agustsson: "High-Fidelity Generative Image Compression",
NeurIPS 2020, arXiv 2006.09965; figure 2 and appendix A.1 have the architectures. `official` is the
authors' form, `pytorch` that of the PyTorch implementation whose checkpoints are in use; they
differ in how convolutions pad and crop, in the discriminator's last layers, and in the z prior.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.backend import keras
from tfhific.models.convolutions import CroppedConv2DTranspose, PaddedConv2D
from tfhific.models.factorized_prior import FactorizedPrior
from tfhific.models.layers import InOrder, Residual
from tfhific.models.normalisation import ChannelNorm
from tfhific.models.spectral import SpectralConv2D

VARIANTS = ("official", "pytorch")
STRIDE = 16
HYPER_STRIDE = 4
_SLOPE = 0.2


@dataclasses.dataclass(frozen=True)
class NetworkSizes:
    """What the networks' shapes depend on.

    Attributes:
      variant: `official` or `pytorch`.
      latent_channels: channels of the latents y, at 1/16 of the image's resolution.
      hyper_channels: channels of the hyperlatents z, at 1/64.
      channels: widths of the encoder from full resolution to 1/16; the generator's are the
        same, reversed.
      residual_blocks: of the generator.
      normalize_input: whether networks see [-1, 1] rather than [0, 1].
      discriminator_channels: widths of the discriminator's convolutions.
      context_channels: channels that the discriminator makes of the latents.
    """

    variant: str = "official"
    latent_channels: int = 220
    hyper_channels: int = 320
    channels: tuple[int, ...] = (60, 120, 240, 480, 960)
    residual_blocks: int = 9
    normalize_input: bool = False
    discriminator_channels: tuple[int, ...] = (64, 128, 256, 512)
    context_channels: int = 12

    @property
    def is_pytorch(self) -> bool:
        return self.variant == "pytorch"


def _same(sizes: NetworkSizes, filters: int, kernel: int):
    padding = "reflect" if sizes.is_pytorch else "zeros"
    return PaddedConv2D(filters, kernel, padding=padding)


def _down(sizes: NetworkSizes, filters: int):
    """A 3x3 convolution of stride 2."""
    if sizes.is_pytorch:
        return PaddedConv2D(filters, 3, 2, pads=(1, 0, 0, 1), padding="reflect")
    # What "SAME" is for even sides.
    return PaddedConv2D(filters, 3, 2, pads=(0, 1, 0, 1))


def _up(sizes: NetworkSizes, filters: int):
    """A 3x3 transposed convolution of stride 2."""
    # "SAME" keeps the first 2n rows of 2n + 1; the PyTorch form keeps the last.
    return CroppedConv2DTranspose(filters, 3, 2, crop=1 if sizes.is_pytorch else 0)


def encoder(sizes: NetworkSizes) -> InOrder:
    """Image [batch, H, W, 3] to latents [batch, H/16, W/16, latent_channels]."""
    layers = [_same(sizes, sizes.channels[0], 7), ChannelNorm(), keras.layers.ReLU()]
    for filters in sizes.channels[1:]:
        layers += [_down(sizes, filters), ChannelNorm(), keras.layers.ReLU()]
    return InOrder([*layers, _same(sizes, sizes.latent_channels, 3)], name="encoder")


def _residual_block(sizes: NetworkSizes) -> Residual:
    filters = sizes.channels[-1]
    first = [_same(sizes, filters, 3), ChannelNorm(), keras.layers.ReLU()]
    return Residual(InOrder([*first, _same(sizes, filters, 3), ChannelNorm()]))


def generator(sizes: NetworkSizes) -> InOrder:
    """Latents [batch, h, w, latent_channels] to an image [batch, 16h, 16w, 3]."""
    layers = [ChannelNorm(), _same(sizes, sizes.channels[-1], 3), ChannelNorm()]
    blocks = [_residual_block(sizes) for _ in range(sizes.residual_blocks)]
    layers.append(Residual(InOrder(blocks)))
    for filters in sizes.channels[-2::-1]:
        layers += [_up(sizes, filters), ChannelNorm(), keras.layers.ReLU()]
    layers.append(_same(sizes, 3, 7))
    if sizes.normalize_input:
        layers.append(keras.layers.Activation("tanh"))
    return InOrder(layers, name="generator")


def hyper_analysis(sizes: NetworkSizes) -> InOrder:
    """Latents [batch, h, w, .] to hyperlatents [batch, h/4, w/4, hyper_channels]."""
    n = sizes.hyper_channels
    padding = "reflect" if sizes.is_pytorch else "zeros"
    return InOrder(
        [
            PaddedConv2D(n, 3),
            keras.layers.ReLU(),
            PaddedConv2D(n, 5, 2, padding=padding),
            keras.layers.ReLU(),
            PaddedConv2D(n, 5, 2, padding=padding),
        ],
        name="hyper_analysis",
    )


def hyper_synthesis(sizes: NetworkSizes, name: str) -> InOrder:
    """Hyperlatents [batch, h, w, .] to one number a latent [batch, 4h, 4w, latent_channels]."""
    n = sizes.hyper_channels
    return InOrder(
        [
            CroppedConv2DTranspose(n, 5, 2),
            keras.layers.ReLU(),
            CroppedConv2DTranspose(n, 5, 2),
            keras.layers.ReLU(),
            CroppedConv2DTranspose(sizes.latent_channels, 3, 1),
        ],
        name=name,
    )


def z_prior(sizes: NetworkSizes) -> FactorizedPrior:
    """The density of hyperlatents."""
    return FactorizedPrior(sizes.hyper_channels, gate_last=sizes.is_pytorch, name="z_prior")


class Discriminator(keras.Model):
    """Tells originals from reconstructions, patch by patch, given the latents.

    Isola et al. 2017 (arXiv 1611.07004) has the patch discriminator, Mentzer et al. 2020 its
    condition: the quantised latents, through which no gradient passes.
    """

    def __init__(self, sizes: NetworkSizes, **kwargs) -> None:
        super().__init__(**{"name": "discriminator", **kwargs})
        self._sizes = sizes
        pytorch, widths = sizes.is_pytorch, sizes.discriminator_channels

        def start():
            return "glorot_uniform" if pytorch else keras.initializers.RandomNormal(0.0, 0.02)

        def spectral(filters: int, kernel: int, stride: int, pads):
            padding = "reflect" if pytorch else "zeros"
            return SpectralConv2D(
                filters, kernel, stride, pads, padding, kernel_initializer=start()
            )

        same = (1, 2, 1, 2)  # "SAME" for a 4x4 kernel; half of it where the stride is 2.
        if pytorch:
            self.context = PaddedConv2D(sizes.context_channels, 3, padding="reflect")
            strides, pads = [2] * len(widths), [(1, 1, 1, 1)] * len(widths)
            self.head = PaddedConv2D(1, 1)
        else:
            self.context = SpectralConv2D(sizes.context_channels, 3, kernel_initializer=start())
            strides = [2] * (len(widths) - 1) + [1]
            pads = [(1, 1, 1, 1) if stride == 2 else same for stride in strides]
            self.head = spectral(1, 4, 1, same)
        self.convolutions = [spectral(w, 4, s, p) for w, s, p in zip(widths, strides, pads)]

    def build(self, input_shape=None) -> None:
        """Makes the variables; the shapes follow from the configuration."""
        sizes = self._sizes

        def build(layer, channels: int) -> None:
            with tf.name_scope(layer.name):
                layer.build((None, None, None, channels))

        build(self.context, sizes.latent_channels)
        channels = 3 + sizes.context_channels
        for layer in self.convolutions:
            build(layer, channels)
            channels = layer.filters
        build(self.head, channels)
        self.built = True

    def parts(self) -> dict[str, PaddedConv2D]:
        """The convolutions by name: `context`, `conv1` and on, `head`."""
        numbered = {f"conv{i}": layer for i, layer in enumerate(self.convolutions, 1)}
        return {"context": self.context, **numbered, "head": self.head}

    def call(self, images: tf.Tensor, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits: positive for originals.

        Args:
          images: float [batch, H, W, 3] in the networks' range; the sides at most 16 times those
            of `latents`.
          latents: float [batch, h, w, latent_channels], those of the same image in each place.
          training: whether the spectral norms' vectors take a step.

        Returns:
          float [batch, h', w', 1].
        """
        return self.layers_of(images, latents, training)[-1]

    def layers_of(self, images: tf.Tensor, latents: tf.Tensor, training: bool = False) -> list:
        """What every convolution makes of images, the logits last; arguments as for `call`."""
        context = self.context(tf.stop_gradient(latents), **_mode(self.context, training))
        context = _enlarged(tf.nn.leaky_relu(context, _SLOPE), STRIDE)
        context = context[:, : tf.shape(images)[1], : tf.shape(images)[2], :]
        found = [tf.concat([tf.cast(images, context.dtype), context], -1)]
        for layer in self.convolutions:
            found.append(tf.nn.leaky_relu(layer(found[-1], **_mode(layer, training)), _SLOPE))
        found.append(self.head(found[-1], **_mode(self.head, training)))
        return found[1:]


def _mode(layer, training: bool) -> dict:
    return {"training": training} if isinstance(layer, SpectralConv2D) else {}


def _enlarged(x: tf.Tensor, factor: int) -> tf.Tensor:
    """Nearest-neighbour upsampling; its gradient is a sum, which XLA compiles too."""
    shape = tf.shape(x)
    height, width, channels = shape[1], shape[2], x.shape[-1]
    blocks = tf.broadcast_to(
        x[:, :, None, :, None, :], [shape[0], height, factor, width, factor, channels]
    )
    return tf.reshape(blocks, [shape[0], height * factor, width * factor, channels])
