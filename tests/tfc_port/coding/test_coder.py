from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfc_port import coding
from tfc_port.coding import CodingError

STREAMS = [1, 2, 3, 16, 64, 1000, 1024]
PAIRS = list(itertools.product(coding.IMPLEMENTATIONS, repeat=2))


def ideal_bytes(values, indexes, tables):
    at = tables.starts[indexes] + 1 + values - tables.minimum[indexes]
    counts = (tables.lookup16[at + 1] - tables.lookup16[at]).astype(np.float64)
    return -np.log2(counts / 65536).sum() / 8


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_each_reads_what_each_wrote(writer, reader, oddities, draw_values, usable):
    usable(writer), usable(reader)
    rng = np.random.default_rng(0)
    for streams, count, escapes in itertools.product(STREAMS, [0, 1, 2, 700], [0, 0.2, 1]):
        values, indexes = draw_values(rng, oddities, count, escapes)
        data = coding.encode(values, indexes, oddities, streams=streams, implementation=writer)
        back = coding.decode(data, indexes, oddities, streams=streams, implementation=reader)
        assert back.dtype == np.int32
        assert np.array_equal(back, values)


@pytest.mark.parametrize("streams", [1, 7, 128])
def test_all_write_the_same_bytes(implementation, streams, oddities, gaussians, draw_values):
    rng = np.random.default_rng(streams)
    for tables in (oddities, gaussians):
        for count, escapes in itertools.product([0, 1, 5, 100, 3000], [0, 0.01]):
            values, indexes = draw_values(rng, tables, count, escapes)
            data = [
                coding.encode(values, indexes, tables, streams=streams, implementation=name)
                for name in (implementation, "python")
            ]
            assert data[0] == data[1]


@pytest.mark.parametrize("row", [0, 1, 2])
def test_long_runs_of_one_symbol_are_the_same_in_all(implementation, row, oddities):
    """The symbols next to a row's ends keep the interval at an end of its own: most carries."""
    row += 2
    for symbol in {0, 1, int(oddities.sizes[row]) - 1, int(oddities.sizes[row]) // 2}:
        indexes = np.full(500, row, np.int32)
        values = np.full(500, oddities.minimum[row] + symbol, np.int32)
        for streams in (1, 4):
            data = [
                coding.encode(values, indexes, oddities, streams=streams, implementation=name)
                for name in (implementation, "python")
            ]
            assert data[0] == data[1]
            assert np.array_equal(
                coding.decode(
                    data[0], indexes, oddities, streams=streams, implementation=implementation
                ),
                values,
            )


ROW = st.tuples(
    st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(-(1 << 31), (1 << 31) - 7)
)


@st.composite
def cases(draw):
    """Tables of any rows, and values in them or outside."""
    rows = draw(st.lists(ROW, min_size=1, max_size=4))
    precision = draw(st.integers(3, 16))
    tables = coding.Tables.from_pmfs(
        [np.array(pmf, float) for pmf, _ in rows], np.array([low for _, low in rows]), precision
    )
    indexes = draw(st.lists(st.integers(0, len(rows) - 1), max_size=40))
    values = [
        draw(
            st.one_of(
                st.integers(rows[row][1], rows[row][1] + len(rows[row][0]) - 1),
                st.integers(-(1 << 31), (1 << 31) - 1),
            )
        )
        for row in indexes
    ]
    return tables, np.array(values, np.int32), np.array(indexes, np.int32)


@settings(deadline=None, max_examples=150)
@given(cases(), st.integers(1, 9))
def test_any_values_of_any_tables_come_back(case, streams):
    tables, values, indexes = case
    # The graph is traced for each set of tables, which takes seconds; it has its own test.
    data = {
        name: coding.encode(values, indexes, tables, streams=streams, implementation=name)
        for name in coding.available()
        if name != "graph"
    }
    assert len(set(data.values())) == 1
    for name in data:
        back = coding.decode(data[name], indexes, tables, streams=streams, implementation=name)
        assert np.array_equal(back, values)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_values_come_back_from_the_graph(usable, oddities, data):
    usable("graph")
    indexes = data.draw(st.lists(st.integers(0, oddities.rows - 1), max_size=60))
    values = data.draw(
        st.lists(
            st.one_of(st.integers(-2, 20), st.integers(-(1 << 31), (1 << 31) - 1)),
            min_size=len(indexes),
            max_size=len(indexes),
        )
    )
    indexes, values = np.array(indexes, np.int32), np.array(values, np.int32)
    streams = data.draw(st.integers(1, 9))
    payload = coding.encode(values, indexes, oddities, streams=streams, implementation="graph")
    plain = coding.encode(values, indexes, oddities, streams=streams, implementation="python")
    assert payload == plain
    back = coding.decode(payload, indexes, oddities, streams=streams, implementation="graph")
    assert np.array_equal(back, values)


def test_a_stream_that_ends_in_the_smallest_interval_is_the_same_of_all(oddities):
    # The last symbol leaves an interval of 1, which a shift makes one of 2**16: no further shift.
    indexes, values = np.array([4, 6, 5], np.int32), np.zeros(3, np.int32)
    for streams in (1, 2, 3):
        payloads = {
            coding.encode(values, indexes, oddities, streams=streams, implementation=name)
            for name in coding.available()
        }
        assert len(payloads) == 1


def test_certain_rows_cost_nothing(implementation, oddities):
    indexes = np.tile(np.array([0, 1], np.int32), 500)
    values = oddities.minimum[indexes]
    data = coding.encode(values, indexes, oddities, streams=1, implementation=implementation)
    assert data == b"\0"
    back = coding.decode(data, indexes, oddities, streams=1, implementation=implementation)
    assert np.array_equal(back, values)


def test_one_stream_is_within_three_bytes_of_the_ideal(gaussians, draw_values):
    values, indexes = draw_values(np.random.default_rng(1), gaussians, 3520)
    data = coding.encode(values, indexes, gaussians, streams=1, implementation="python")
    ideal = ideal_bytes(values, indexes, gaussians)
    assert ideal <= len(data) <= ideal + 3


def read_as_the_page_says(data, indexes, tables, streams):
    """A decoder written from docs/coding.md alone, checks left out."""

    def varint(at):
        number = place = 0
        while data[at] & 128:
            number |= (data[at] & 127) << place
            at, place = at + 1, place + 7
        return number | data[at] << place, at + 1

    width, at, escapes = data[0] & 31, 1, (0, 0)
    if data[0] & 128:
        length, at = varint(at)
        escapes = (at, at + length)
        at += length
    lengths = []
    if streams > 1:
        base, at = varint(at)
        packed = ((streams - 1) * width + 7) // 8
        bits = "".join(f"{octet:08b}" for octet in data[at : at + packed])
        at += packed
        for first in range(0, (streams - 1) * width, width or 1):
            lengths.append(base + int(bits[first : first + width], 2))
        lengths = lengths or [base] * (streams - 1)
    states = []
    for length in lengths:
        states.append([data[at : at + length]])
        at += length
    states.append([data[at:]])
    for state in states:
        state += [int.from_bytes(state[0][:4].ljust(4, b"\0"), "big"), 1 << 32, 4]
    values, coded = [], 0
    for row in indexes.tolist():
        counts = tables.cdf(row).tolist()
        precision = int(tables.precisions[row])
        if len(counts) == 2:
            values.append(int(tables.minimum[row]))
            continue
        octets, value, size, read = states[coded % streams]
        t = (((value + 1) << precision) - 1) // size
        i = next(i for i in range(len(counts) - 1) if counts[i] <= t < counts[i + 1])
        low, high = size * counts[i] >> precision, size * counts[i + 1] >> precision
        value, size = value - low, high - low
        if size <= 1 << 16:
            two = octets[read : read + 2].ljust(2, b"\0")
            value, size, read = value << 16 | int.from_bytes(two, "big"), size << 16, read + 2
        states[coded % streams] = [octets, value, size, read]
        values.append(int(tables.minimum[row]) + i)
        coded += 1
    at, position = escapes[0], -1
    while at < escapes[1]:
        gap, at = varint(at)
        excess, at = varint(at)
        position += gap + 1
        first = int(tables.minimum[indexes[position]])
        last = first + int(tables.sizes[indexes[position]]) - 1
        away = excess // 2 + 1
        values[position] = first - away if excess % 2 else last + away
    return values


@pytest.mark.parametrize("streams", [1, 2, 5, 40])
def test_a_decoder_written_from_the_page_reads_payloads(streams, oddities, gaussians, draw_values):
    rng = np.random.default_rng(streams)
    for tables in (oddities, gaussians):
        for count, escapes in itertools.product([0, 1, 300], [0, 0.05]):
            values, indexes = draw_values(rng, tables, count, escapes)
            data = coding.encode(values, indexes, tables, streams=streams, implementation="python")
            assert read_as_the_page_says(data, indexes, tables, streams) == values.tolist()


def test_chosen_streams_cost_less_than_half_a_percent(gaussians, draw_values):
    for count in (1000, 3000, 30000):
        values, indexes = draw_values(np.random.default_rng(2), gaussians, count)
        one = coding.encode(values, indexes, gaussians, streams=1, implementation="python")
        streams = coding.choose_streams(len(one))
        data = coding.encode(values, indexes, gaussians, streams=streams, implementation="python")
        assert streams > 1 or count == 1000
        assert len(data) - len(one) < 0.005 * len(one)


def test_an_allowance_is_what_up_to_four_streams_stay_below(gaussians, draw_values):
    values, indexes = draw_values(np.random.default_rng(2), gaussians, 200)
    one = coding.encode(values, indexes, gaussians, streams=1, implementation="python")
    for added, expected in ((2, 1), (4, 2), (7, 4), (100, 4)):
        allowance = added / len(one)
        streams = coding.choose_streams(len(one), allowance)
        assert streams == expected
        data = coding.encode(values, indexes, gaussians, streams=streams, implementation="python")
        assert len(data) - len(one) < added
    assert coding.choose_streams(1e5, allowance=0.1) == coding.choose_streams(1e5) > 4


def test_the_estimated_size_is_that_of_one_stream_but_for_its_end(gaussians, oddities, draw_values):
    rng = np.random.default_rng(21)
    for tables, count, escapes in itertools.product(
        (gaussians, oddities), (0, 1, 500, 20000), (0.0, 0.05)
    ):
        values, indexes = draw_values(rng, tables, count, escapes)
        size = len(coding.encode(values, indexes, tables, streams=1, implementation="python"))
        # One byte tells a single stream's escapes, up to 5 their length; 2 its end.
        assert -1 <= size - coding.estimate_bytes(values, indexes, tables) <= 8 + 0.002 * size


def test_the_graph_chooses_the_streams_that_the_estimate_does(gaussians, oddities, draw_values):
    from tfc_port.coding import graph

    rng = np.random.default_rng(22)
    for tables in (gaussians, oddities):
        prepared = graph.GraphTables(tables)
        for count in (0, 1, 1000, 3000, 30000):
            values, indexes = draw_values(rng, tables, count, 0.01)
            chosen = graph.choose_streams_tensor(values, indexes, prepared)
            estimate = coding.estimate_bytes(values, indexes, tables)
            assert int(chosen) == coding.choose_streams(estimate)
            chosen = graph.choose_streams_tensor(values, indexes, prepared, allowance=0.03)
            assert int(chosen) == coding.choose_streams(estimate, allowance=0.03)


def test_chosen_streams_are_powers_of_two_that_rise_from_1_to_512():
    chosen = [coding.choose_streams(size) for size in (0, 10, 1e2, 1e3, 1e4, 1e5, 1e6, 1e9)]
    assert chosen[0] == 1
    assert chosen[-1] == 512
    assert chosen == sorted(chosen)
    assert all(streams & (streams - 1) == 0 for streams in chosen)


@pytest.mark.parametrize(
    ("values", "indexes"),
    [
        ([0], [0, 0]),
        ([0, 0], [[0], [0]]),
        ([0], [12]),
        ([0], [-1]),
        ([0.0], [0]),
        ([1 << 31], [0]),
        ([0], [1 << 32]),
    ],
)
def test_wrong_arguments_are_coding_errors(implementation, values, indexes, oddities):
    with pytest.raises(CodingError):
        coding.encode(
            np.array(values),
            np.array(indexes),
            oddities,
            streams=1,
            implementation=implementation,
        )


def test_an_unknown_implementation_is_named_in_the_error(oddities):
    with pytest.raises(CodingError, match="fortran"):
        coding.encode(
            np.zeros(1, int), np.zeros(1, int), oddities, streams=1, implementation="fortran"
        )


def test_wrong_payload_types_are_coding_errors(implementation, oddities):
    with pytest.raises(CodingError):
        coding.decode("text", np.zeros(1, int), oddities, streams=1, implementation=implementation)


def test_other_integer_types_are_taken(implementation, oddities):
    values, indexes = np.array([0, 1], np.int64), np.array([2, 2], np.uint8)
    data = coding.encode(values, indexes, oddities, streams=1, implementation=implementation)
    back = coding.decode(data, indexes, oddities, streams=1, implementation=implementation)
    assert back.tolist() == [0, 1]


def test_importing_the_coder_imports_no_tensorflow():
    code = "import sys, tfc_port.coding; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
