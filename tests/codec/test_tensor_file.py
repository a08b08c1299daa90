"""Arrays in a file: other readers of the format read them, and large ones are not copied."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tfhific.files.atomic import write_atomically
from tfhific.published import tensor_file
from tfhific.published.tensor_file import TensorFile, parts

ARRAYS = {
    "kernel": np.arange(3 * 3 * 16 * 16, dtype=np.float32).reshape(3, 3, 16, 16),
    "odd": np.arange(7, dtype=np.float16),
    "whole": np.arange(-5, 6, dtype=np.int64),
    "small": np.array([[1, -2, 3]], np.int16),
    "empty": np.zeros([0, 4], np.float64),
    "one": np.array(3.5),
    "table": np.arange(33, dtype=np.int32)[::2],
}


@pytest.fixture(params=[0, 1 << 30], ids=["mapped", "read"])
def written(request, tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_file, "_MAP_FROM", request.param)
    path = tmp_path / "arrays.safetensors"
    write_atomically(path, parts(ARRAYS, {"a": "b", "ä": "ö"}))
    return path


def test_what_is_written_is_read_back_and_by_other_readers(written):
    file = TensorFile(written)
    assert file.metadata == {"a": "b", "ä": "ö"}
    others = load_file(written)
    assert set(file.arrays) == set(others) == set(ARRAYS)
    for name, value in ARRAYS.items():
        for found in (file.arrays[name], others[name]):
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found, value)
        assert b"".join(file.chunks(name)) == np.ascontiguousarray(value).tobytes()


def test_files_of_other_writers_are_read_wherever_their_arrays_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_file, "_MAP_FROM", 0)
    save_file({k: np.ascontiguousarray(v) for k, v in ARRAYS.items()}, tmp_path / "other")
    found = TensorFile(tmp_path / "other").arrays
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(found[name], value)


def test_arrays_can_not_be_written_to(written):
    for value in TensorFile(written).arrays.values():
        with pytest.raises(ValueError, match="read-only"):
            value[...] = 0


def test_whole_multiples_of_the_alignment_start_on_it(written):
    assert TensorFile(written).arrays["kernel"].ctypes.data % 16 == 0
    start = TensorFile(written)._places["kernel"][0]
    assert start % 64 == 0


def test_parts_hold_the_arrays_own_memory():
    buffers = parts({"kernel": ARRAYS["kernel"]}, {})
    assert np.shares_memory(np.frombuffer(buffers[1], np.float32), ARRAYS["kernel"])
