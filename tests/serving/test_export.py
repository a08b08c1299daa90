"""The folder that an export leaves, and the ops in its graph."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from tfhific.errors import OutputError, TfhificError
from tfhific.serving import export as exporting
from tfhific.serving.warmup import FILE

REGISTERED = """
import json
from tensorflow.python.client import pywrap_tf_session
from tensorflow.core.framework import op_def_pb2
ops = op_def_pb2.OpList()
ops.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
print(json.dumps([op.name for op in ops.op]))
"""


def graph_of(folder: str):
    """A SavedModel's graph, with the functions in it."""
    from tensorflow.core.protobuf import saved_model_pb2

    with open(os.path.join(folder, "saved_model.pb"), "rb") as file:
        (meta_graph,) = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs
    return meta_graph.graph_def


def idle_layers(function) -> list[list[str]]:
    """The operations of a function that lead nowhere: those that nothing uses, and so on.

    Constants do not count.
    """
    used_by: dict[str, set[str]] = {node.name: set() for node in function.node_def}
    for node in function.node_def:
        for name in node.input:
            used_by.get(name.lstrip("^").split(":")[0], set()).add(node.name)
    for name in (*function.ret.values(), *function.control_ret.values()):
        used_by.get(name.split(":")[0], set()).add("")
    kinds = {node.name: node.op for node in function.node_def}
    layers: list[list[str]] = []
    while found := {name for name, users in used_by.items() if not users}:
        used_by = {name: users - found for name, users in used_by.items() if name not in found}
        layers.append(sorted(name for name in found if kinds[name] != "Const"))
    return [layer for layer in layers if layer]


@pytest.fixture(scope="module")
def core_ops(run_python) -> set[str]:
    """The ops that are registered in a process that never imported TFC."""
    done = run_python("-c", REGISTERED)
    assert done.returncode == 0, done.stderr.decode()
    return set(json.loads(done.stdout))


def test_the_graph_and_its_functions_hold_core_ops_only(export_folder, core_ops):
    graph = graph_of(str(export_folder / "1"))
    used = {node.op for function in graph.library.function for node in function.node_def}
    used |= {node.op for node in graph.node}
    assert "EntropyDecodeIndex" not in core_ops
    assert len(used) > 100
    assert used <= core_ops


def test_what_leads_nowhere_is_a_few_operations_deep(export_folder):
    """For each layer of it TensorFlow goes over all of the graph once more when it is first run."""
    functions = graph_of(str(export_folder / "1")).library.function
    assert len(functions) > 100
    for function in functions:
        layers = idle_layers(function)
        assert len(layers) <= 6, (function.signature.name, layers)


def test_all_signatures_are_there_and_batched(loaded):
    assert set(loaded.signatures) == {
        "compress",
        "compress_at",
        "decompress",
        "compress_raw",
        "decompress_raw",
        "info",
    }
    for name, function in loaded.signatures.items():
        assert "error" in function.structured_outputs, name
        for spec in function.structured_input_signature[1].values():
            assert spec.shape[0] is None


def test_a_version_that_is_there_is_refused_before_the_work(export_folder, tiny_published):
    before = sorted(os.listdir(export_folder))
    with pytest.raises(OutputError, match="is there already"):
        exporting.export(tiny_published, str(export_folder), 1)
    assert sorted(os.listdir(export_folder)) == before


def test_the_next_version_is_one_more_than_the_largest(tmp_path):
    assert exporting.next_version(str(tmp_path / "none")) == 1
    for name in ("2", "10", "notes", ".export-x"):
        (tmp_path / name).mkdir()
    assert exporting.next_version(str(tmp_path)) == 11


def test_an_export_that_fails_leaves_nothing(tmp_path, tiny_published, monkeypatch):
    import tensorflow as tf

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    monkeypatch.setattr("tfhific.serving.signatures.Served", lambda *_: _Nothing())
    with pytest.raises(OutputError, match="No space left"):
        exporting.export(tiny_published, str(tmp_path / "model"))
    assert os.listdir(tmp_path / "model") == []


class _Nothing:
    functions: dict = {}  # noqa: RUF012


@pytest.mark.parametrize("options", [{"version": 0}, {"coder": "best"}, {"quality": 9.0}])
def test_bad_options_are_refused(tmp_path, tiny_published, options):
    with pytest.raises(TfhificError):
        exporting.export(tiny_published, str(tmp_path / "model"), **options)
    assert not (tmp_path / "model").exists()


def test_warm_up_requests_are_what_serving_reads(export_folder, call):
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    import tensorflow as tf

    path = str(export_folder / "1" / FILE)
    seen = set()
    for record in tf.data.TFRecordDataset(path):
        log = apis.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "tiny"
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        out = call(request.model_spec.signature_name, **inputs)
        assert not any(out["error"])
        seen.add(request.model_spec.signature_name)
    assert len(seen) == 6


def test_the_script_exports_and_refuses_in_one_line(call_script, tmp_path, monkeypatch):
    written = []

    def record(model, folder, version, **options):
        written.append((model.name, folder, version, options))
        return str(tmp_path)

    monkeypatch.setattr(exporting, "export", record)
    done = call_script("export", "--model=tiny", f"--out={tmp_path}", "--version=3", "--quality=2")
    assert done.code == 0, done.err
    name, folder, version, options = written[0]
    assert (name, folder, version) == ("tiny", str(tmp_path), 3)
    assert options["quality"] == 2.0
    assert options["coder"] == "graph"
    assert call_script("export", "--model=tiny").code == 1
    missing = call_script("export", "--model=nothing-such", f"--out={tmp_path}")
    assert missing.code == 1
    assert len(missing.err.strip().splitlines()) == 1


def test_checksums_of_chunks_are_those_of_zlib():
    import zlib

    import tensorflow as tf

    from tfhific.serving.pictures.png_metadata import crc32

    rng = np.random.default_rng(0)
    for size in (4, 5, 7, 8, 255, 256, 1000, 4097):
        data = rng.bytes(size)
        assert int(crc32(tf.constant(data))) == zlib.crc32(data)
