"""Rows of a manifest that anyone may have written."""

from __future__ import annotations

import pytest

from tfhific.bulk.rows import DONE, FAILED, Row, row_of
from tfhific.errors import TfhificError

GOOD = Row("a.png", "a.tfh", DONE, 10, 5, 4, 3, 20, 13.3, 5.0, 0.25, "00ff", "12ab")


def test_a_row_comes_back_and_other_columns_are_passed_over():
    assert row_of({**GOOD._asdict(), "colour": [1, {}]}, "m") == GOOD
    least = {"source": "a", "destination": "b", "status": FAILED, "error": "cut"}
    assert row_of(least, "m") == Row("a", "b", FAILED, error="cut")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("source", None), ("source", ""), ("source", 3), ("source", b"a.png"),
        ("destination", None), ("destination", ["a"]),
        ("status", None), ("status", "DONE"), ("status", "done;rm"), ("status", "x" * 9999),
        ("source_bytes", "10"), ("source_bytes", 10.0), ("source_bytes", True),
        ("source_modified", 1 << 63), ("width", -(1 << 70)), ("bytes", {}),
        ("bits_per_pixel", float("nan")), ("quality", float("inf")), ("seconds", "1"),
        ("seconds", False), ("checksum", "00FF\n"), ("checksum", 1), ("model", "../x"),
        ("error", 1),
    ],
)  # fmt: skip
def test_what_a_column_cannot_hold_is_one_line(column, value):
    with pytest.raises(TfhificError, match=rf"^m, row 3: .*column {column}: expected") as caught:
        row_of({**GOOD._asdict(), column: value}, "m, row 3")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_failure_says_why():
    with pytest.raises(TfhificError, match="column error: expected why it failed"):
        row_of({**GOOD._asdict(), "status": FAILED}, "m")


def test_numbers_of_a_float_column_may_be_whole():
    assert row_of({**GOOD._asdict(), "quality": 5}, "m").quality == 5.0
