"""`PowerLawEntropyModel`, `LaplaceEntropyModel`, `stochastic_round`, `Y4MDataset`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

try:
    from tensorflow_compression.python.entropy_models import laplace, power_law
except ImportError:
    laplace = power_law = None

needs_tfc = pytest.mark.skipif(power_law is None, reason="TFC is not installed on this stack")


def _models(family):
    if family == "power_law":
        return tfc_port.PowerLawEntropyModel, getattr(power_law, "PowerLawEntropyModel", None), {}
    options = {"l1": 0.5, "magnitude_code": 2, "use_run_length_for_non_zeros": True}
    return tfc_port.LaplaceEntropyModel, getattr(laplace, "LaplaceEntropyModel", None), options


def _values():
    values = np.random.default_rng(0).normal(size=[3, 4, 5]) * 3
    values[0, 0] = 0
    return tf.constant(values, tf.float32)


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("family", ["power_law", "laplace"])
def test_strings_decode_to_the_rounded_values(family, in_graph):
    ours, _, options = _models(family)
    model = ours(coding_rank=2, **options)
    values = _values()

    def both_ways(values):
        strings = model.compress(values)
        return strings, model.decompress(strings, tf.shape(values)[1:])

    strings, decoded = (tf.function(both_ways) if in_graph else both_ways)(values)
    assert strings.shape == [3]
    np.testing.assert_array_equal(decoded, tf.round(values))
    assert decoded.dtype == values.dtype
    assert model.decompress(tf.zeros([0, 2], tf.string), [4, 5]).shape == [0, 2, 4, 5]


@needs_tfc
@pytest.mark.parametrize("family", ["power_law", "laplace"])
def test_penalties_gradients_and_strings_are_tfcs(family):
    ours, theirs, options = _models(family)
    values = _values()
    results = []
    for made_by in (theirs, ours):
        model = made_by(coding_rank=2, **options)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(values)
            perturbed, penalty = model(values)
        results.append(
            [
                perturbed,
                penalty,
                tape.gradient(penalty, values),
                tape.gradient(perturbed, values),
                model.compress(values),
            ]
        )
    for theirs_result, ours_result in zip(*results):
        if ours_result.dtype == tf.string:
            assert ours_result.numpy().tolist() == theirs_result.numpy().tolist()
        else:
            np.testing.assert_allclose(ours_result, theirs_result, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16])
def test_stochastic_rounding_keeps_the_mean_and_follows_its_seed(dtype):
    inputs = tf.fill([20000], tf.constant(-1.25, dtype))
    rounded = tfc_port.stochastic_round(inputs, 0.5, [1, 2])
    assert rounded.dtype == tf.int32
    assert set(rounded.numpy().tolist()) == {-3, -2}
    assert abs(float(tf.reduce_mean(tf.cast(rounded, tf.float32))) + 2.5) < 0.02
    np.testing.assert_array_equal(rounded, tfc_port.stochastic_round(inputs, 0.5, [1, 2]))
    for other in ([2, 1], [1, 2, 0], 7, []):
        assert np.any(rounded != tfc_port.stochastic_round(inputs, 0.5, other))
    whole = tf.constant([3.0, -2.0, 0.0], dtype)
    np.testing.assert_array_equal(tfc_port.stochastic_round(whole, 1.0, []), [3, -2, 0])


HEADER = b"YUV4MPEG2 W4 H2 F30:1 Ip A1:1 C420jpeg\n"


def _frame(first, size):
    return b"FRAME\n" + bytes(range(first, first + size))


def _write(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    return str(tmp_path / name)


def test_video_frames_come_file_by_file(tmp_path):
    small = _write(tmp_path, "a.y4m", HEADER + _frame(0, 12) + _frame(100, 12))
    full = _write(tmp_path, "b.y4m", b"YUV4MPEG2 C444 H2 W4 Xa\n" + _frame(50, 24))
    frames = list(tfc_port.Y4MDataset([small, full]))
    assert len(frames) == 3
    for (luma, chroma), first, chroma_shape in zip(
        frames, (0, 100, 50), ([1, 2, 2], [1, 2, 2], [2, 4, 2])
    ):
        np.testing.assert_array_equal(luma[..., 0], first + np.arange(8).reshape(2, 4))
        size = int(np.prod(chroma_shape[:2]))
        planes = first + 8 + np.arange(2 * size).reshape(2, *chroma_shape[:2])
        np.testing.assert_array_equal(chroma, planes.transpose(1, 2, 0))
    spec = tfc_port.Y4MDataset(small).element_spec
    assert [s.shape.as_list() for s in spec] == [[None, None, 1], [None, None, 2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "YUV4MPEG2 marker"),
        (b"YUV4MPEG W4 H2 C444\n", "YUV4MPEG2 marker"),
        (b"YUV4MPEG2 H2 C444\n", "no width"),
        (b"YUV4MPEG2 W4 C444\n", "no height"),
        (b"YUV4MPEG2 W4 H2\n", "no chroma"),
        (b"YUV4MPEG2 W4 Hx C444\n", "invalid height"),
        (b"YUV4MPEG2 W0 H2 C444\n", "invalid width"),
        (b"YUV4MPEG2 W4 H2 C422\n", "unsupported chroma"),
        (b"YUV4MPEG2 W4 H2 C420mpeg2\n", "unsupported chroma"),
        (b"YUV4MPEG2 W4 H2 C444 It\n", "not in progressive"),
        (b"YUV4MPEG2 W3 H2 C420jpeg\n", "odd width or height"),
        (b"YUV4MPEG2 W99999 H99999 C444\n", "pixels a frame"),
        (HEADER + b"FRAME I\n" + bytes(10), "FRAME marker"),
        (HEADER + _frame(0, 11), "body length 17 bytes"),
    ],
)
def test_files_that_are_no_such_video_are_refused(content, message, tmp_path):
    path = _write(tmp_path, "video.y4m", content)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(tfc_port.Y4MDataset(path))
