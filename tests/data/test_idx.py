"""MNIST's files: read, checked, and dealt to a run by step."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from tfhific.data.idx import DigitData, read_digits, read_idx
from tfhific.errors import TfhificError
from tfhific.models.system import TrainingOptions


def write_idx(path, array, zipped=True):
    """Writes an IDX file of unsigned bytes."""
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if zipped else data)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 60), ("t10k", 20)):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte.gz", rng.integers(256, size=[count, 8, 8]))
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    return tmp_path


def test_what_is_written_is_read(tmp_path):
    array = np.arange(24).reshape(2, 3, 4)
    for name, zipped in (("a.gz", True), ("a", False)):
        write_idx(tmp_path / name, array, zipped)
        np.testing.assert_array_equal(read_idx(tmp_path / name), array)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x09\x01\0\0\0\x01\0",
        b"\0\0\x08\x01\0\0\0\x05abc",
        b"\0\0\x08\x01\0\0\0\x02abc",
        b"\0\0\x08\x02\0\0",
        b"\0\0\x08\x03" + b"\xff" * 12,
    ],
)
def test_damaged_files_are_refused(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(TfhificError, match="a: "):
        read_idx(tmp_path / "a")


def test_a_cut_gzip_and_missing_files_are_refused(folder):
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(TfhificError, match="can't be read"):
        read_digits(folder)
    path.unlink()
    with pytest.raises(TfhificError, match=r"train-images-idx3-ubyte\.gz there"):
        read_digits(folder)


def test_labels_must_fit_the_pictures(folder):
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", np.zeros(19))
    with pytest.raises(TfhificError, match="as many labels"):
        read_digits(folder, "test")


def test_batches_follow_from_the_step_and_leave_the_validation_pictures_out(folder):
    options = TrainingOptions(batch_size=7, seed=3)
    data = DigitData(folder, options)
    assert data.count == 50
    held_out = {image.tobytes() for image in read_digits(folder).images[50:]}
    seen = set()
    for step, (images, labels) in zip(range(8), data.batches(0)):
        again = data.batch(step)
        np.testing.assert_array_equal(images, again[0])
        np.testing.assert_array_equal(labels, again[1])
        seen |= {image.tobytes() for image in images.numpy()}
    assert not seen & held_out
    assert len(seen) == 50
    later, _ = next(iter(data.batches(5)))
    np.testing.assert_array_equal(later, data.batch(5)[0])


def test_sides_of_0_beside_sides_that_no_array_has_are_refused(tmp_path):
    for sizes in ([0, 2**32 - 1, 2**32 - 1], [2**32 - 1, 0], [0, 2**32 - 1]):
        head = bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)
        path = tmp_path / "train-images-idx3-ubyte"
        path.write_bytes(head)
        with pytest.raises(TfhificError, match="larger than"):
            read_idx(path)


def test_digits_without_pictures_are_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(
        bytes([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28])
    )
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 0]))
    with pytest.raises(TfhificError, match="expected pictures"):
        read_digits(tmp_path)
