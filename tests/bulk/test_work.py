"""What a worker does with a batch, without Ray: outputs are those of the codec, once each."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

import tfhific
from tfhific.bulk.opening import open_place
from tfhific.bulk.places import Found
from tfhific.bulk.plan import Task
from tfhific.bulk.rows import DONE, FAILED
from tfhific.bulk.work import Settings, Work
from tfhific.pictures.images import read_picture

OPTIONS = {"runtime": "litert", "max_pixels": 10_000}
SIZES = [(1, 1), (17, 9), (40, 33)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(3)
    for number, (width, height) in enumerate(SIZES):
        small = Image.fromarray(rng.integers(0, 256, [2, 3, 3], np.uint8))
        small.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    (folder / "cut.png").write_bytes((folder / "2.png").read_bytes()[:60])
    Image.new("RGB", (101, 100)).save(folder / "large.png")
    return folder


@pytest.fixture(scope="module")
def codec():
    return tfhific.load("mini", **OPTIONS)


@pytest.fixture
def work(pictures, tmp_path, monkeypatch):
    def make(command="compress", sources=pictures, **more):
        places = open_place(str(sources)), open_place(str(tmp_path / "out"))
        model = "mini" if command == "compress" else None
        return Work(Settings(command, *places, model, None, OPTIONS, **more))

    return make


def tasks(*names, suffix=".tfh", **more):
    return [Task(f"{name}", name.partition(".")[0] + suffix, Found(9, 7), **more) for name in names]


def test_a_batch_gives_the_codecs_files_and_a_row_for_each(work, pictures, codec, tmp_path):
    names = ["0.png", "cut.png", "1.png", "large.png", "none.png", "2.png"]
    rows = work(verify=True).batch(tasks(*names))
    assert [row.source for row in rows] == names
    assert [row.status for row in rows] == [DONE, FAILED, DONE, FAILED, FAILED, DONE]
    for row in rows:
        if row.status == FAILED:
            assert row.source in row.error
            assert len(row.error.splitlines()) == 1
            continue
        data = (tmp_path / "out" / row.destination).read_bytes()
        assert data == codec.compress_picture(read_picture(pictures / row.source))
        assert row.checksum == hashlib.sha256(data).hexdigest()
        assert (row.width, row.height) == SIZES[int(row.source[0])]
        assert (row.bytes, row.quality, row.model) == (len(data), 5.0, codec.fingerprint.hex())
        assert row.bits_per_pixel == 8 * len(data) / (row.width * row.height)
        assert (row.source_bytes, row.source_modified) == (9, 7)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.tfh", "1.tfh", "2.tfh"]


def test_pictures_come_back(work, codec, tmp_path):
    out = tmp_path / "out"
    work().batch(tasks("0.png", "1.png"))
    (out / "bad.tfh").write_bytes((out / "1.tfh").read_bytes()[:-1])
    rows = work("decompress", out, verify=True).batch(tasks("bad.tfh", "1.tfh", suffix=".png"))
    assert [row.status for row in rows] == [FAILED, DONE]
    expected = codec.decompress((out / "1.tfh").read_bytes())
    np.testing.assert_array_equal(read_picture(out / "1.png").pixels, expected)
    assert not (out / "bad.png").exists()


def test_what_is_there_is_kept_unless_it_is_what_was_made_before(work, tmp_path):
    (first,) = work().batch(tasks("1.png"))
    (refused,) = work().batch(tasks("1.png"))
    assert (refused.status, "exists already" in refused.error) == (FAILED, True)
    (again,) = work().batch(tasks("1.png", again=True))
    assert again._replace(seconds=None) == first._replace(seconds=None)
    path = tmp_path / "out" / "1.tfh"
    path.write_bytes(b"someone else's")
    (refused,) = work().batch(tasks("1.png", again=True))
    assert refused.status == FAILED
    assert path.read_bytes() == b"someone else's"
    (replaced,) = work(overwrite=True).batch(tasks("1.png"))
    assert replaced.checksum == first.checksum == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_output_without_a_row_gets_one_and_stays(work, tmp_path):
    (made,) = work().batch(tasks("1.png"))
    path = tmp_path / "out" / "1.tfh"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    (row,) = work().batch(tasks("1.png", kept=True))
    assert row == made._replace(seconds=None)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    path.write_bytes(path.read_bytes()[:-1])
    (row,) = work().batch(tasks("1.png", kept=True))
    assert (row.status, "1.tfh" in row.error) == (FAILED, True)
