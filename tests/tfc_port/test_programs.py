"""Whole programs in TFC's style: trained for a few steps, then compressing and decompressing.

They are written against `tfc`, and run with whichever implementation is imported under that name.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

try:
    import tensorflow_compression
except ImportError:
    tensorflow_compression = None

IMPLEMENTATIONS = [
    pytest.param(tfc_port, id="port"),
    pytest.param(
        tensorflow_compression,
        id="tfc",
        marks=pytest.mark.skipif(
            tensorflow_compression is None, reason="TFC is not installed on this stack"
        ),
    ),
]


def _images():
    rng = np.random.default_rng(0)
    coarse = rng.uniform(size=[2, 4, 4, 3])
    return tf.constant(np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2), tf.float32)


def _analysis(tfc, filters, depth):
    layers = []
    for index in range(depth):
        last = index == depth - 1
        layers.append(
            tfc.SignalConv2D(
                filters, 5, corr=True, strides_down=2, padding="same_zeros", use_bias=True,
                activation=None if last else tfc.GDN(name=f"gdn_{index}"),
            )
        )  # fmt: skip
    return tf.keras.Sequential(layers)


def _synthesis(tfc, widths):
    layers = []
    for index, width in enumerate(widths):
        last = index == len(widths) - 1
        layers.append(
            tfc.SignalConv2D(
                width, 5, corr=False, strides_up=2, padding="same_zeros", use_bias=True,
                activation=None if last else tfc.GDN(inverse=True, name=f"igdn_{index}"),
            )
        )  # fmt: skip
    return tf.keras.Sequential(layers)


def _scale(index):
    return tf.exp(tf.math.log(0.11) + (tf.math.log(64.0) - tf.math.log(0.11)) / 31 * index)


class Codec(tf.keras.Model):
    """What the programs share: training on rate and distortion."""

    def train_step(self, images):
        with tf.GradientTape() as tape:
            loss = self(images, training=True)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": loss}

    def loss_of(self, images, decoded, *bits):
        pixels = tf.cast(tf.reduce_prod(tf.shape(images)[:-1]), tf.float32)
        rate = sum(tf.reduce_sum(b) for b in bits) / pixels
        return rate + 300.0 * tf.reduce_mean(tf.square(images - decoded))


class FactorizedAutoencoder(Codec):
    """Balle, Laparra and Simoncelli (2017)."""

    def __init__(self, tfc):
        super().__init__()
        self.tfc = tfc
        self.analysis = _analysis(tfc, 8, 2)
        self.synthesis = _synthesis(tfc, [8, 3])
        self.prior = tfc.NoisyNormal(loc=tf.zeros([8]), scale=tf.fill([8], 4.0))

    def call(self, images, training):
        model = self.tfc.ContinuousBatchedEntropyModel(self.prior, coding_rank=3)
        y_hat, bits = model(self.analysis(images), training=training)
        return self.loss_of(images, self.synthesis(y_hat), bits)

    def prepare(self):
        self.entropy_model = self.tfc.ContinuousBatchedEntropyModel(
            self.prior, coding_rank=3, compression=True
        )

    def compress(self, images):
        y = self.analysis(images)
        return (self.entropy_model.compress(y),), self.entropy_model.quantize(y)

    def decompress(self, strings):
        return self.entropy_model.decompress(strings, [8, 8])


class ScaleHyperprior(Codec):
    """Balle et al. (2018), with means."""

    def __init__(self, tfc):
        super().__init__()
        self.tfc = tfc
        self.analysis = _analysis(tfc, 8, 2)
        self.synthesis = _synthesis(tfc, [8, 3])
        self.hyper_analysis = _analysis(tfc, 4, 1)
        self.hyper_synthesis = _synthesis(tfc, [16])
        self.hyperprior = tfc.NoisyDeepFactorized(batch_shape=(4,), init_scale=3)
        self.options = {"prior_fn": tfc.NoisyNormal, "num_scales": 32, "scale_fn": _scale}

    def call(self, images, training):
        tfc = self.tfc
        side = tfc.ContinuousBatchedEntropyModel(
            self.hyperprior, coding_rank=3, offset_heuristic=False
        )
        main = tfc.LocationScaleIndexedEntropyModel(coding_rank=3, **self.options)
        y = self.analysis(images)
        z_hat, side_bits = side(self.hyper_analysis(y), training=training)
        loc, indexes = tf.split(self.hyper_synthesis(z_hat), 2, axis=-1)
        y_hat, bits = main(y, indexes, loc=loc, training=training)
        return self.loss_of(images, self.synthesis(y_hat), bits, side_bits)

    def prepare(self):
        self.side = self.tfc.ContinuousBatchedEntropyModel(
            self.hyperprior, coding_rank=3, compression=True
        )
        self.main = self.tfc.LocationScaleIndexedEntropyModel(
            coding_rank=3, compression=True, **self.options
        )

    def compress(self, images):
        y = self.analysis(images)
        z = self.hyper_analysis(y)
        loc, indexes = tf.split(self.hyper_synthesis(self.side.quantize(z)), 2, axis=-1)
        strings = self.main.compress(y, indexes, loc), self.side.compress(z)
        return strings, self.main.quantize(y, loc)

    def decompress(self, string, side_string):
        z_hat = self.side.decompress(side_string, [4, 4])
        loc, indexes = tf.split(self.hyper_synthesis(z_hat), 2, axis=-1)
        return self.main.decompress(string, indexes, loc)


class ChannelAutoregressive(ScaleHyperprior):
    """Minnen and Singh (2020): the second half of the channels is predicted from the first."""

    def __init__(self, tfc):
        super().__init__(tfc)
        self.predictor = tfc.SignalConv2D(8, 3, padding="same_zeros", use_bias=True)

    def _second(self, features, first):
        predicted = self.predictor(tf.concat([features, first], -1))
        return tf.split(predicted, 2, axis=-1)

    def call(self, images, training):
        tfc = self.tfc
        side = tfc.ContinuousBatchedEntropyModel(
            self.hyperprior, coding_rank=3, offset_heuristic=False
        )
        main = tfc.LocationScaleIndexedEntropyModel(coding_rank=3, **self.options)
        y = self.analysis(images)
        z_hat, side_bits = side(self.hyper_analysis(y), training=training)
        features = self.hyper_synthesis(z_hat)
        first, second = tf.split(y, 2, axis=-1)
        loc, indexes = features[..., :4], features[..., 4:8]
        first_hat, first_bits = main(first, indexes, loc=loc, training=training)
        loc, indexes = self._second(features, first_hat)
        second_hat, second_bits = main(second, indexes, loc=loc, training=training)
        decoded = self.synthesis(tf.concat([first_hat, second_hat], -1))
        return self.loss_of(images, decoded, first_bits, second_bits, side_bits)

    def compress(self, images):
        y = self.analysis(images)
        z = self.hyper_analysis(y)
        features = self.hyper_synthesis(self.side.quantize(z))
        first, second = tf.split(y, 2, axis=-1)
        loc, indexes = features[..., :4], features[..., 4:8]
        first_string = self.main.compress(first, indexes, loc)
        first_hat = self.main.quantize(first, loc)
        loc, indexes = self._second(features, first_hat)
        strings = first_string, self.main.compress(second, indexes, loc), self.side.compress(z)
        return strings, tf.concat([first_hat, self.main.quantize(second, loc)], -1)

    def decompress(self, first_string, second_string, side_string):
        features = self.hyper_synthesis(self.side.decompress(side_string, [4, 4]))
        loc, indexes = features[..., :4], features[..., 4:8]
        first_hat = self.main.decompress(first_string, indexes, loc)
        loc, indexes = self._second(features, first_hat)
        return tf.concat([first_hat, self.main.decompress(second_string, indexes, loc)], -1)


@pytest.mark.parametrize("tfc", IMPLEMENTATIONS)
@pytest.mark.parametrize("program", [FactorizedAutoencoder, ScaleHyperprior, ChannelAutoregressive])
def test_program_learns_and_its_strings_decode_to_its_latents(program, tfc):
    tf.keras.utils.set_random_seed(0)
    images = _images()
    codec = program(tfc)
    codec.compile(optimizer=tf.keras.optimizers.legacy.Adam(2e-3))
    batches = tf.data.Dataset.from_tensors(images).repeat()
    losses = codec.fit(batches, epochs=4, steps_per_epoch=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    codec.prepare()
    strings, latents = codec.compress(images)
    packed = tfc.PackedTensors()
    packed.pack(strings)
    unpacked = tfc.PackedTensors(packed.string).unpack([tf.string] * len(strings))
    np.testing.assert_allclose(codec.decompress(*unpacked), latents, atol=1e-5)
