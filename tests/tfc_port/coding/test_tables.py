from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfc_port.coding import CodingError, Tables, quantize_pmf

PMFS = st.lists(st.floats(0, 1), min_size=1, max_size=40).filter(lambda pmf: sum(pmf) > 0)


@settings(deadline=None)
@given(PMFS, st.integers(6, 16))
def test_quantised_counts_are_positive_and_sum_to_the_whole(pmf, precision):
    cdf = quantize_pmf(np.array(pmf), precision)
    assert cdf.dtype == np.int32
    assert cdf[0] == 0
    assert cdf[-1] == 1 << precision
    assert np.all(np.diff(cdf) >= 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=12))
def test_no_single_count_moved_elsewhere_shortens_the_code(pmf):
    pmf = np.array(pmf) / np.sum(pmf)
    counts = np.diff(quantize_pmf(pmf, 8)).astype(np.float64)
    length = -(pmf * np.log2(counts)).sum()
    for source in np.flatnonzero(counts > 1):
        for target in range(counts.size):
            moved = counts.copy()
            moved[source] -= 1
            moved[target] += 1
            # Rounding to nearest is within one such move of the best there is.
            assert -(pmf * np.log2(moved)).sum() >= length - pmf.max() / 4


def test_equal_probabilities_give_counts_in_order_of_index():
    assert np.diff(quantize_pmf(np.ones(3), 3)).tolist() == [2, 3, 3]
    assert np.diff(quantize_pmf(np.ones(5), 4)).tolist() == [4, 3, 3, 3, 3]


def test_a_probability_of_nothing_gets_one_count():
    assert np.diff(quantize_pmf(np.array([0.0, 1.0, 0.0]), 16)).tolist() == [1, 65534, 1]


def test_subnormal_probabilities_are_scaled_up():
    assert np.diff(quantize_pmf(np.array([5e-324, 5e-324]), 4)).tolist() == [8, 8]


@pytest.mark.parametrize(
    ("pmf", "precision"),
    [
        ([], 16),
        ([[1.0]], 16),
        ([0.5, -0.1], 16),
        ([np.nan, 1], 16),
        ([np.inf, 1], 16),
        ([0.0, 0.0], 16),
        ([1.0] * 3, 1),
        ([1.0], 0),
        ([1.0], 17),
        ([1.0], 8.0),
        ([1.0], True),
    ],
)
def test_what_is_no_pmf_is_refused(pmf, precision):
    with pytest.raises(CodingError):
        quantize_pmf(np.array(pmf), precision)


def test_properties_describe_the_rows():
    tables = Tables(np.array([2, 0, 1, 4, 16, 0, 65536, 4, 0, 5, 11, 16]), np.array([-1, 9, 3]))
    assert tables.rows == 3
    assert tables.starts.tolist() == [0, 4, 7]
    assert tables.sizes.tolist() == [2, 1, 3]
    assert tables.precisions.tolist() == [2, 16, 4]
    assert tables.certain.tolist() == [False, True, False]
    assert tables.mode.tolist() == [1, 0, 1]
    assert tables.cdf(2).tolist() == [0, 5, 11, 16]
    assert tables.lookup16.tolist() == [
        *(16, 0, 1 << 14, 1 << 16),
        *(16, 0, 1 << 16),
        *(16, 0, 5 << 12, 11 << 12, 1 << 16),
    ]


def test_the_mode_of_a_tie_is_the_first_symbol():
    assert Tables(np.array([3, 0, 1, 4, 7, 8]), np.array([0])).mode.tolist() == [1]


def test_a_precision_equal_to_the_end_of_the_row_before_is_not_padding():
    tables = Tables(np.array([1, 0, 1, 2, 2, 0, 3, 4, 4, 0, 16]), np.zeros(3, np.int32))
    assert tables.sizes.tolist() == [2, 2, 1]


@pytest.mark.parametrize(
    "lookup",
    [
        [],
        [1, 0],
        [0, 0, 1],
        [17, 0, 1 << 17],
        [-16, 0, 65536],
        [2, 0, 1, 3],
        [2, 1, 4],
        [2, 4],
        [2, 0, 2, 2, 4],
        [2, 0, 3, 1, 4],
        [2, 0, 5, 4],
        [2, 0, -1, 4],
        [2, 0, 4, 4],
        [2, 0, 4, 2],
        [2, 0, 4, 2, 0],
        [[2, 0, 4]],
        [2.0, 0.0, 4.0],
        [2, 0, 1 << 40],
    ],
)
def test_what_is_no_lookup_is_refused(lookup):
    with pytest.raises(CodingError):
        Tables(np.array(lookup), np.array([0]))


@pytest.mark.parametrize("minimum", [[], [0, 0], [[0]], [0.0], [1 << 31], [(1 << 31) - 1]])
def test_what_are_no_minima_is_refused(minimum):
    with pytest.raises(CodingError):
        Tables(np.array([2, 0, 1, 4]), np.array(minimum))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(-3, 20), max_size=12), st.lists(st.integers(), max_size=3))
def test_any_numbers_make_tables_or_a_coding_error(lookup, minimum):
    try:
        tables = Tables(np.array(lookup), np.array(minimum))
    except CodingError:
        return
    assert np.all(tables.sizes >= 1)
    assert tables.sizes.sum() + 2 * tables.rows == len(lookup)


def test_tables_do_not_change_with_the_arrays_they_were_made_of():
    lookup, minimum = np.array([2, 0, 1, 4], np.int32), np.array([0], np.int32)
    tables = Tables(lookup, minimum)
    lookup[2], minimum[0] = 3, 8
    assert tables.cdf(0).tolist() == [0, 1, 4]
    assert tables.minimum.tolist() == [0]
    with pytest.raises(ValueError, match="read-only"):
        tables.lookup[0] = 1


def test_equal_tables_have_equal_fingerprints_and_others_do_not():
    tables = Tables(np.array([2, 0, 1, 4]), np.array([0]))
    others = [
        Tables(np.array([2, 0, 2, 4]), np.array([0])),
        Tables(np.array([2, 0, 1, 4]), np.array([1])),
        Tables(np.array([2, 0, 1, 4, 2, 0, 4]), np.array([0, 0])),
    ]
    copy = pickle.loads(pickle.dumps(tables))
    assert copy == tables
    assert hash(copy) == hash(tables)
    assert copy.fingerprint_bytes() == tables.fingerprint_bytes()
    for other in others:
        assert other != tables
        assert other.fingerprint_bytes() != tables.fingerprint_bytes()


def test_tables_from_pmfs_are_the_quantised_pmfs():
    pmfs = [np.array([0.25, 0.75]), np.array([1.0]), np.array([0.1, 0.2, 0.7])]
    tables = Tables.from_pmfs(pmfs, np.array([0, -5, 2]), precision=10)
    assert tables.minimum.tolist() == [0, -5, 2]
    assert tables.precisions.tolist() == [10, 10, 10]
    for row, pmf in enumerate(pmfs):
        assert np.array_equal(tables.cdf(row), quantize_pmf(pmf, 10))
    with pytest.raises(CodingError):
        Tables.from_pmfs([], np.array([]))
