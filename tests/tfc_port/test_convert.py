"""The converter: checkpoints and SavedModels become checkpoints that the port restores."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import tfc_port
from tfc_port import convert

try:
    import tensorflow_compression
except ImportError:
    tensorflow_compression = None

SOURCES = [
    pytest.param(tfc_port, id="port"),
    pytest.param(
        tensorflow_compression,
        id="tfc",
        marks=pytest.mark.skipif(
            tensorflow_compression is None, reason="TFC is not installed on this stack"
        ),
    ),
]


class Model(tf.Module):
    def __init__(self, tfc, scale):
        super().__init__()
        prior = tfc.NoisyNormal(loc=0.2, scale=[scale, 2 * scale])
        self.entropy_model = tfc.ContinuousBatchedEntropyModel(prior, 1, compression=True)

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def compress(self, values):
        return self.entropy_model.compress(values)


@pytest.mark.parametrize("tfc", SOURCES)
@pytest.mark.parametrize("kind", ["saved_model", "checkpoint"])
def test_converted_models_write_the_same_strings(tfc, kind, tmp_path):
    written, source, target = Model(tfc, 3.0), tmp_path / "source", tmp_path / "target"
    if kind == "saved_model":
        tf.saved_model.save(written, str(source))
    else:
        tf.train.Checkpoint(root=written).save(str(source / "model"))
    assert convert.main([str(source), str(target)]) == 0
    read = Model(tfc_port, 1.0)
    checkpoint = tf.train.Checkpoint(root=read)
    if kind == "saved_model":  # its root is the model itself
        checkpoint = tf.train.Checkpoint(entropy_model=read.entropy_model)
    status = checkpoint.read(tf.train.latest_checkpoint(str(target)))
    status.assert_existing_objects_matched()
    values = tf.constant(np.random.default_rng(0).normal(size=[5, 2]) * 4, tf.float32)
    expected = written.entropy_model.compress(values).numpy().tolist()
    assert read.entropy_model.compress(values).numpy().tolist() == expected
    report = json.loads((target / "report.json").read_text())
    assert [table["rows"] for table in report["tables"]] == [2]
    own_ops = kind == "saved_model" and tfc is not tfc_port
    assert ("EntropyEncodeChannel" in report["tfc_ops_in_functions"]) == own_ops
    stored = load_file(str(target / "variables.safetensors"))
    cdf = next(value for name, value in stored.items() if name.endswith("_cdf"))
    np.testing.assert_array_equal(cdf, written.entropy_model.cdf)


def test_sources_that_are_none_give_one_line(tmp_path, capsys):
    assert convert.main([str(tmp_path / "missing"), str(tmp_path / "out")]) == 1
    (tmp_path / "empty").mkdir()
    assert convert.main([str(tmp_path / "empty"), str(tmp_path / "out")]) == 1
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    assert convert.main([str(tmp_path / "damaged"), str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
    assert len(capsys.readouterr().err.strip().splitlines()) == 3


def test_destinations_that_hold_something_are_refused(tmp_path, capsys):
    tf.train.Checkpoint(root=Model(tfc_port, 3.0)).save(str(tmp_path / "source" / "model"))
    assert convert.main([str(tmp_path / "source"), str(tmp_path / "source")]) == 1
    assert "empty or new folder" in capsys.readouterr().err
