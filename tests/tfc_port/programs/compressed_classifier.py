"""Compression of a model's weights: layers whose kernels are rated by a power law, then strings."""

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

tf.random.set_seed(1)
rng = np.random.default_rng(0)
labels = rng.integers(0, 4, 256)
images = rng.random([256, 12, 12]).astype(np.float32) / 2
for image, label in zip(images, labels):
    image[3 * label : 3 * label + 3] += 0.5
normal = tf.keras.initializers.HeUniform()


class CustomDense(tf.keras.layers.Layer):
    def __init__(self, filters, name="dense"):
        super().__init__(name=name)
        self.filters = filters

    @classmethod
    def copy(cls, other, **options):
        self = cls(filters=other.filters, name=other.name, **options)
        self.build(None, other=other)
        return self

    def build(self, input_shape, other=None):
        if other is None:
            self.kernel = tf.Variable(normal((input_shape[-1], self.filters)), name="kernel")
            self.bias = tf.Variable(tf.zeros((self.filters,)), name="bias")
        else:
            self.kernel, self.bias = other.kernel, other.bias
        self.built = True

    def call(self, inputs):
        return tf.linalg.matvec(self.kernel, inputs, transpose_a=True) + self.bias


class CompressibleDense(CustomDense):
    def __init__(self, regularizer, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.regularizer = regularizer

    def build(self, input_shape, other=None):
        if other is None:
            super().build(input_shape)
            return
        self.kernel_rdft = tf.Variable(tf.transpose(other.kernel), name="kernel_rdft")
        self.latent_bias = tf.Variable(other.bias / 0.05, name="bias")
        self.log_step = tf.Variable(np.float32(np.log(0.05)), name="log_step")
        self.built = True

    @property
    def step(self):
        return tf.exp(self.log_step)

    def call(self, inputs):
        kernel = self.regularizer(self.kernel_rdft / self.step) * self.step
        bias = self.regularizer(self.latent_bias) * self.step
        return tf.linalg.matmul(inputs, kernel, transpose_b=True) + bias


class Penalty:
    def __init__(self, weight):
        self.weight = weight
        self.model = tfc.PowerLawEntropyModel(coding_rank=0, alpha=0.1)

    def __call__(self, latents):
        perturbed, penalty = self.model(latents)
        self.penalty = self.weight * tf.reduce_sum(penalty)
        return perturbed


def classifier(layers):
    model = tf.keras.Sequential(
        [tf.keras.layers.Flatten(), layers[0], tf.keras.layers.ReLU(), layers[1]]
    )
    model.build((None, 12, 12))
    return model


def train(model, layers, steps):
    optimizer = tf.keras.optimizers.Adam(1e-2)
    cross_entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, model(images))
            loss += sum(each.regularizer.penalty for each in layers if hasattr(each, "regularizer"))
        gradients = tape.gradient(loss, model.trainable_variables)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return [float(step()) for _ in range(steps)]


def accuracy(model):
    return np.mean(np.argmax(model(images), -1) == labels)


plain = [CustomDense(16, name="first"), CustomDense(4, name="second")]
model = classifier(plain)
losses = train(model, plain, 60)
assert losses[-1] < losses[0]
assert accuracy(model) > 0.9

compressible = [CompressibleDense.copy(layer, regularizer=Penalty(1e-4)) for layer in plain]
model = classifier(compressible)
losses = train(model, compressible, 60)
assert losses[-1] < losses[0]

coder = tfc.PowerLawEntropyModel(coding_rank=1, alpha=0.1)
packed = tfc.PackedTensors()
tensors = []
for layer in compressible:
    flat = tf.reshape(layer.kernel_rdft / layer.step, [1, -1])
    tensors += [coder.compress(flat), tf.constant([flat.shape[1]], tf.int32)]
packed.pack(tensors)
received = tfc.PackedTensors(packed.string).unpack([tf.string, tf.int32] * 2)
for layer, string, size in zip(compressible, received[::2], received[1::2]):
    kernel = coder.decompress(string, size)
    expected = tf.round(tf.reshape(layer.kernel_rdft / layer.step, [1, -1]))
    np.testing.assert_array_equal(kernel, expected)
    layer.kernel_rdft.assign(tf.reshape(kernel, layer.kernel_rdft.shape) * layer.step)
assert accuracy(model) > 0.9
size, before = len(packed.string), 4 * (144 * 16 + 16 * 4)
assert size < before / 3
print("decoded", size, "bytes of", before)
