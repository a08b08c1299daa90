"""Features come from whatever network the user names, labelled with its name."""

from __future__ import annotations

import numpy as np
import pytest

from tfhific.errors import ModelError
from tfhific.evaluation.features import feature_spec, patches


def test_patches_tile_the_picture_twice():
    pixels = np.arange(8 * 13 * 3, dtype=np.uint8).reshape(8, 13, 3)
    found = patches(pixels, 4)
    assert found.shape == (6 + 2, 4, 4, 3)
    np.testing.assert_array_equal(found[1], pixels[:4, 4:8])
    np.testing.assert_array_equal(found[6], pixels[2:6, 2:6])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 300)])
def test_small_pictures_give_patches_of_their_shorter_side(size):
    found = patches(np.zeros([*size, 3], np.uint8))
    assert found.shape[1:] == (min(size), min(size), 3)
    assert len(found) >= 1


def reference(images, low, high):
    """What the stand-in networks compute: channel means, and those of squares."""
    values = images / 255.0 * (high - low) + low
    return np.concatenate([values.mean((1, 2)), (values**2).mean((1, 2))], -1)


@pytest.fixture
def images(photo):
    return np.stack([photo(32, 32, seed) for seed in range(9)])


@pytest.mark.parametrize("value_range", ["-1,1", "0,1", "0,255"])
def test_saved_model_gets_its_range_and_gives_its_features(value_range, images, tmp_path):
    import tensorflow as tf

    class Network(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32)])
        def __call__(self, x):
            return {
                "features": tf.concat(
                    [tf.reduce_mean(x, (1, 2)), tf.reduce_mean(x * x, (1, 2))], -1
                )
            }

    network = Network()
    tf.saved_model.save(network, str(tmp_path / "net"), signatures=network.__call__)
    spec = feature_spec(str(tmp_path / "net"), value_range)
    assert spec.label.startswith("net-")
    low, high = map(float, value_range.split(","))
    np.testing.assert_allclose(spec.load()(images), reference(images, low, high), rtol=1e-4)
    # Patches of another size are scaled to what it takes.
    assert spec.load()(np.repeat(images, 2, 1).repeat(2, 2)).shape == (9, 6)


def test_keras_file_gives_features_or_maps_that_are_averaged(images, tmp_path):
    from tfhific.backend import keras

    inputs = keras.Input([None, None, 3])
    keras.Model(inputs, keras.layers.Conv2D(5, 3)(inputs)).save(tmp_path / "maps.h5")
    spec = feature_spec(str(tmp_path / "maps.h5"), "0,1")
    kernel, bias = keras.models.load_model(tmp_path / "maps.h5", compile=False).get_weights()
    windows = np.lib.stride_tricks.sliding_window_view(images / 255.0, (3, 3), (1, 2))
    expected = np.einsum("nhwcij,ijco->nhwo", windows, kernel) + bias
    np.testing.assert_allclose(spec.load()(images), expected.mean((1, 2)), rtol=1e-3, atol=1e-4)


def test_frozen_graph_is_fed_one_picture_at_a_time_in_0_to_255(images, tmp_path):
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3], name="ExpandDims")
        tf.reshape(tf.reduce_mean(x, (1, 2)), [1, 1, 1, 3], name="pool_3")
    (tmp_path / "inception.pb").write_bytes(graph.as_graph_def().SerializeToString())
    spec = feature_spec(str(tmp_path / "inception.pb"))
    np.testing.assert_allclose(spec.load()(images), images.mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("name", ["missing", "empty", "text.h5", "text.pb", "text.npz"])
def test_what_is_no_network_is_told(name, tmp_path):
    (tmp_path / "empty").mkdir()
    for kind in ("h5", "pb", "npz"):
        (tmp_path / f"text.{kind}").write_text("no network\n")
    with pytest.raises(ModelError):
        feature_spec(str(tmp_path / name)).load()


def test_ranges_and_sizes_that_make_no_sense_are_told(tmp_path):
    with pytest.raises(ModelError, match="0,255"):
        feature_spec(str(tmp_path), "0,2")
    with pytest.raises(ModelError, match="4096"):
        feature_spec(str(tmp_path), size=1)


def test_network_that_refuses_the_pictures_is_told(images, tmp_path):
    from tfhific.backend import keras

    inputs = keras.Input([32, 32, 3])
    keras.Model(inputs, keras.layers.Flatten()(inputs)[:, None]).save(tmp_path / "odd.h5")
    with pytest.raises(ModelError, match=r"\[batch, d\]"):
        feature_spec(str(tmp_path / "odd.h5")).load()(images)
