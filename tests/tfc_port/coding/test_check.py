"""What `check` refuses of a payload without decoding it, in NumPy and in a graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfc_port import coding

TABLES = coding.Tables.from_pmfs(
    [np.array([0.1, 0.8, 0.1]), np.array([0.3, 0.7]), np.array([1.0])], np.array([-1, 0, 5])
)


@pytest.fixture(scope="module")
def in_graph():
    """What a graph says: a function of the payload, the number of values and that of streams."""
    import tensorflow as tf

    from tfc_port.coding.graph import check_tensors

    number = tf.TensorSpec([], tf.int32)
    traced = tf.function(
        check_tensors, input_signature=[tf.TensorSpec([], tf.string), number, number]
    )
    return lambda *case: traced(*case).numpy().decode()


def refused(payload: bytes, count: int, streams: int) -> bool:
    try:
        coding.check(payload, count, streams=streams)
    except coding.CodingError:
        return True
    return False


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), max_size=40),
    st.sampled_from([1, 2, 8]),
)
def test_what_an_encoder_writes_is_never_refused(pairs, streams):
    values = np.array([value for value, _ in pairs], np.int32)
    rows = np.array([row for _, row in pairs], np.int32)
    payload = coding.encode(values, rows, TABLES, streams=streams, implementation="python")
    coding.check(payload, len(values), streams=streams)


@given(st.binary(max_size=24), st.integers(0, 12), st.sampled_from([1, 2, 4]))
def test_what_decodes_is_never_refused(payload, count, streams):
    rows = np.arange(count, dtype=np.int32) % TABLES.rows
    try:
        coding.decode(payload, rows, TABLES, streams=streams, implementation="python")
    except coding.CodingError:
        return
    coding.check(payload, count, streams=streams)


CASES = {
    "nothing": (b"", 3, 1),
    "bits that are 0": (b"\x20abc", 3, 1),
    "a width without streams": (b"\x01abc", 3, 1),
    "an empty escape list": (b"\x80\x00", 3, 1),
    "an escape list beyond the end": (b"\x80\x09ab", 3, 1),
    "half an escape": (b"\x80\x01\x00", 3, 1),
    "an escape that never ends": (b"\x80\x02\xff\xff", 3, 1),
    "an escape beyond the values": (b"\x80\x02\x03\x00", 3, 1),
    "a second escape beyond the values": (b"\x80\x04\x01\x00\x01\x00", 3, 1),
    "a stream beyond its symbols": (b"\x00" + bytes(11), 3, 1),
    "streams beyond the end": (b"\x00\x05ab", 3, 2),
    "too wide lengths": (b"\x02\x00\x40" + bytes(9), 9, 4),
    "no streams": (b"\x00", 3, 0),
    "too many streams": (b"\x00", 3, coding.MAX_STREAMS + 1),
}


@pytest.mark.parametrize("name", CASES)
def test_both_refuse(name, in_graph):
    assert refused(*CASES[name])
    assert in_graph(*CASES[name])


def test_both_say_the_same_of_damaged_payloads(in_graph):
    rng = np.random.default_rng(3)
    values, rows = rng.integers(-3, 4, 30), rng.integers(0, 3, 30)
    told = []
    for streams in (1, 4):
        whole = coding.encode(values, rows, TABLES, streams=streams, implementation="python")
        for _ in range(60):
            payload = bytearray(whole)
            payload[int(rng.integers(len(payload)))] ^= 1 << int(rng.integers(8))
            payload = bytes(payload[: len(payload) - int(rng.integers(0, 3))])
            told.append(refused(payload, 30, streams))
            assert told[-1] == bool(in_graph(payload, 30, streams)), (payload, streams)
    assert True in told
    assert False in told
