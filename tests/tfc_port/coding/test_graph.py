from __future__ import annotations

import pathlib

import numpy as np
import pytest

from tfc_port import coding

tf = pytest.importorskip("tensorflow")
graph = pytest.importorskip("tfc_port.coding.graph")
graph_payload = pytest.importorskip("tfc_port.coding.graph_payload")


class Codec(tf.Module):
    """What an export looks like."""

    def __init__(self, tables):
        super().__init__()
        self.tables = graph.GraphTables(tables)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int32)])
    def encode(self, values, indexes):
        return {"payload_bytes": graph.encode_tensors(values, indexes, self.tables, tf.constant(4))}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([None], tf.int32)])
    def decode(self, payload, indexes):
        values, error = graph.decode_tensors(payload, indexes, self.tables, tf.constant(4))
        return {"values": values, "error": error}


@pytest.fixture(scope="module")
def exported(oddities, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("exported"))
    codec = Codec(oddities)
    tf.saved_model.save(codec, folder, signatures={"encode": codec.encode, "decode": codec.decode})
    return folder


def test_a_saved_model_holds_no_custom_operation(exported):
    """Every operation is one that TensorFlow itself has a Python name for."""
    graph_def = tf.Graph()
    with tf.compat.v1.Session(graph=graph_def) as session:
        tf.compat.v1.saved_model.load(session, ["serve"], exported)
    library = graph_def.as_graph_def().library.function
    used = {node.op for function in library for node in function.node_def}
    functions = {function.signature.name for function in library}
    assert {op for op in used - functions if not hasattr(tf.raw_ops, op)} == set()


def test_a_saved_model_codes_as_the_other_implementations_do(exported, oddities, draw_values):
    values, indexes = draw_values(np.random.default_rng(8), oddities, 300, 0.02)
    plain = coding.encode(values, indexes, oddities, streams=4, implementation="python")
    for _ in range(2):
        loaded = tf.saved_model.load(exported)
        data = loaded.encode(values, indexes)["payload_bytes"].numpy()
        assert data == plain
        result = loaded.decode(data, indexes)
        assert result["error"].numpy() == b""
        assert np.array_equal(result["values"].numpy(), values)


def test_a_session_as_servers_use_it_builds_the_lookup_when_it_loads(
    exported, oddities, draw_values
):
    values, indexes = draw_values(np.random.default_rng(9), oddities, 300, 0.02)
    plain = coding.encode(values, indexes, oddities, streams=4, implementation="python")
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], exported)
        signature = meta.signature_def["decode"]
        output = session.run(
            {name: info.name for name, info in signature.outputs.items()},
            {
                signature.inputs["payload"].name: plain,
                signature.inputs["indexes"].name: indexes,
            },
        )
    assert output["error"] == b""
    assert np.array_equal(output["values"], values)


def test_the_lookup_is_not_stored(exported, oddities):
    stored = sum(
        path.stat().st_size for path in pathlib.Path(exported).rglob("*") if path.is_file()
    )
    assert stored < 4 * (1 << 16) * int((~oddities.certain).sum())


def test_a_bad_payload_is_an_error_in_band_and_zeros(exported, oddities):
    loaded = tf.saved_model.load(exported)
    result = loaded.decode(b"\x60", np.array([2, 2, 6], np.int32))
    assert b"frame" in result["error"].numpy()
    assert result["values"].numpy().tolist() == [0, 0, 0]


@pytest.mark.parametrize("streams", [0, -1, 4097])
def test_an_impossible_number_of_streams_is_an_error_in_band(oddities, streams):
    values, error = graph.decode_tensors(
        tf.constant(b"\0"), tf.constant([2]), graph.GraphTables(oddities), tf.constant(streams)
    )
    assert b"streams" in error.numpy()
    assert values.numpy().tolist() == [0]


def test_a_batch_is_coded_element_by_element(oddities, draw_values):
    values, indexes = draw_values(np.random.default_rng(10), oddities, 3 * 50)
    values, indexes = values.reshape(3, 50), indexes.reshape(3, 50)
    tables = graph.GraphTables(oddities)

    @tf.function
    def encode(values, indexes):
        return tf.map_fn(
            lambda pair: graph.encode_tensors(*pair, tables, tf.constant(2)),
            (values, indexes),
            fn_output_signature=tf.string,
        )

    for data, row_values, row_indexes in zip(encode(values, indexes).numpy(), values, indexes):
        plain = coding.encode(row_values, row_indexes, oddities, streams=2, implementation="python")
        assert data == plain


def test_bytes_become_the_string_of_them():
    for octets in ([], [0], [255], list(range(256)) * 300):
        string = graph_payload.to_string(tf.constant(octets, tf.uint8)).numpy()
        assert string == bytes(octets)


def test_more_rows_than_the_lookup_has_room_for_are_refused():
    rows = 4097
    tables = coding.Tables(np.tile(np.array([1, 0, 1, 2]), rows), np.zeros(rows, int))
    with pytest.raises(coding.CodingError, match="4097"):
        graph.GraphTables(tables)
