"""Models of one rate, HiFiC's, are compared as points, and joined as a curve."""

from __future__ import annotations

import pytest

from tfhific.evaluation import evaluate


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Two published HiFiC models, tiny and untrained."""
    import tensorflow as tf

    from tfhific.backend import keras
    from tfhific.models.hific import PRESETS, HiFiC
    from tfhific.published.store import save_model
    from tfhific.publishing.hyperprior import publish

    folder = tmp_path_factory.mktemp("presets")
    for seed, name in enumerate(("small-lo", "small-hi")):
        keras.utils.set_random_seed(seed)
        model = HiFiC(PRESETS["hific-tiny"])
        model(tf.zeros([1, 128, 128, 3]))
        save_model(publish(model, name), folder / name)
    return folder


def test_each_is_a_point_and_joined_they_are_a_curve(presets, pictures):
    lo, hi = (str(presets / name) for name in ("small-lo", "small-hi"))
    done = evaluate(data=str(pictures), codecs=[lo, f"both={lo}+{hi}"], memory=False, anchor="both")
    assert not done.failures
    curves = {curve.codec: [point.point for point in curve.points] for curve in done.curves()}
    assert curves["small-lo"] == ["fixed"]
    assert sorted(curves["both"]) == ["small-hi", "small-lo"]
    alone, joined = (
        [row.bytes for row in done.rows if (row.codec, row.setting) == point]
        for point in (("small-lo", "fixed"), ("both", "small-lo"))
    )
    assert alone == joined
    # A single point is no curve, and that is said.
    assert all("two points" in each.reason for each in done.compare())
