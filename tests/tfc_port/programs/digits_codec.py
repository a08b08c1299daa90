"""Generative compression of digits: an autoencoder whose entropy model is trained by fit()."""

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

tf.random.set_seed(1)
rng = np.random.default_rng(0)
# Thick strokes at random places: rows and columns of a picture of 28x28.
digits = np.zeros([64, 28, 28], np.float32)
for digit in digits:
    digit[rng.integers(4, 20) :, rng.integers(4, 20)] = 1
    digit[rng.integers(4, 24), 4 : rng.integers(10, 28)] = 1
digits = (255 * digits).astype(np.uint8)


def make_analysis(size):
    return tf.keras.Sequential(
        [
            tf.keras.layers.Conv2D(8, 5, use_bias=True, strides=2, padding="same", name="conv_1"),
            tfc.GDN(name="gdn_1"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(size, use_bias=True, activation=None, name="fc"),
        ],
        name="analysis",
    )


def make_synthesis():
    return tf.keras.Sequential(
        [
            tf.keras.layers.Dense(7 * 7 * 4, activation="relu", name="fc"),
            tf.keras.layers.Reshape((7, 7, 4)),
            tf.keras.layers.Conv2DTranspose(8, 5, strides=2, padding="same", name="conv_1"),
            tf.keras.layers.Conv2DTranspose(1, 5, strides=2, padding="same", name="conv_2"),
        ],
        name="synthesis",
    )


class Trainer(tf.keras.Model):
    def __init__(self, size):
        super().__init__()
        self.analysis_transform = make_analysis(size)
        self.synthesis_transform = make_synthesis()
        self.prior_log_scales = tf.Variable(tf.zeros((size,)), name="scales")

    @property
    def prior(self):
        return tfc.NoisyLogistic(loc=0.0, scale=tf.exp(self.prior_log_scales))

    def call(self, x, training):
        x = tf.cast(x, self.compute_dtype) / 255.0
        x = tf.reshape(x, (-1, 28, 28, 1))
        y = self.analysis_transform(x)
        model = tfc.ContinuousBatchedEntropyModel(self.prior, coding_rank=1, compression=False)
        y_tilde, rate = model(y, training=training)
        x_tilde = self.synthesis_transform(y_tilde)
        return {"rate": tf.reduce_mean(rate), "distortion": tf.reduce_mean(abs(x - x_tilde))}


class Passes(tf.keras.losses.Loss):
    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = weight

    def call(self, target, prediction):
        return self.weight * prediction


class Compressor(tf.keras.Model):
    def __init__(self, analysis_transform, entropy_model):
        super().__init__()
        self.analysis_transform = analysis_transform
        self.entropy_model = entropy_model

    def call(self, x):
        x = tf.reshape(tf.cast(x, self.compute_dtype) / 255.0, (-1, 28, 28, 1))
        y = self.analysis_transform(x)
        _, bits = self.entropy_model(y, training=False)
        return self.entropy_model.compress(y), bits


class Decompressor(tf.keras.Model):
    def __init__(self, entropy_model, synthesis_transform):
        super().__init__()
        self.entropy_model = entropy_model
        self.synthesis_transform = synthesis_transform

    def call(self, string):
        x_hat = self.synthesis_transform(self.entropy_model.decompress(string, ()))
        return tf.saturate_cast(tf.round(x_hat[..., 0] * 255.0), tf.uint8)


trainer = Trainer(6)
trainer.compile(
    optimizer=tf.keras.optimizers.Adam(learning_rate=1e-3),
    loss={"rate": Passes(), "distortion": Passes(500.0)},
)
data = tf.data.Dataset.from_tensor_slices(digits).map(
    lambda x: (x, {"rate": 0.0, "distortion": 0.0})
)
history = trainer.fit(data.batch(32).repeat(), epochs=3, steps_per_epoch=4, verbose=0).history
assert history["loss"][-1] < history["loss"][0], history

entropy_model = tfc.ContinuousBatchedEntropyModel(
    trainer.prior, coding_rank=1, compression=True, tail_mass=2**-11
)
compressor = Compressor(trainer.analysis_transform, entropy_model)
decompressor = Decompressor(entropy_model, trainer.synthesis_transform)
strings, bits = compressor(digits[:4])
pictures = decompressor(strings)
assert pictures.shape == (4, 28, 28)
assert pictures.dtype == tf.uint8
sizes = [8 * len(string) for string in strings.numpy()]
assert max(np.array(sizes) - bits.numpy()) < 24

# Strings that nobody wrote are digits as well.
made_up = tf.constant([rng.bytes(8) for _ in range(4)])
samples = trainer.synthesis_transform(
    tfc.ContinuousBatchedEntropyModel(
        trainer.prior, coding_rank=1, compression=True, decode_sanity_check=False
    ).decompress(made_up, ())
)
assert samples.shape == (4, 28, 28, 1)
print("decoded", pictures.shape, "from", sizes)
