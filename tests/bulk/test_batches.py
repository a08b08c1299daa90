"""Batches: every task once, of like sizes, within bounds; no more looked at than asked."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tfhific.bitstream import container
from tfhific.bulk import batches
from tfhific.bulk.opening import open_place
from tfhific.bulk.places import Found
from tfhific.bulk.plan import Task


def picture(width: int, height: int, kind: str = "PNG", **options) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.zeros([height, width, 3], np.uint8)).save(held, kind, **options)
    return held.getvalue()


def tasks_of(names) -> list[Task]:
    return [Task(name, f"{name}.tfh", Found()) for name in names]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_size_is_that_of_the_header(kind):
    assert batches.size_of(picture(70, 33, kind)[:4096]) == (70, 33)


def test_size_of_a_compressed_file():
    contents = container.Contents(bytes(8), 24, 40, 0, b"z", b"y")
    assert batches.size_of(container.pack(contents)[:64]) == (40, 24)


@given(
    st.binary(max_size=64), st.sampled_from([b"", b"TFH\1", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
)
def test_size_of_anything_is_a_size_or_nothing(data, start):
    size = batches.size_of(start + data)
    assert size is None or all(isinstance(side, int) for side in size)


def test_each_task_is_in_one_batch_of_like_sizes(tmp_path):
    sides = [(10, 10), (200, 90), (64, 64), (65, 64), (190, 100)]
    names = []
    for number, (width, height) in enumerate(sides * 5):
        names.append(f"{number:02d}.png")
        (tmp_path / names[-1]).write_bytes(picture(width, height))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    tasks = tasks_of([*names, "broken.png", "missing.png"])
    made = list(batches.batches(tasks, open_place(str(tmp_path)), files=4, pixels=40_000))
    assert sorted(t.source for batch in made for t in batch) == sorted(t.source for t in tasks)
    assert max(map(len, made)) == 4
    for batch in made:
        found = {
            batches.size_of((tmp_path / t.source).read_bytes()) for t in batch if t.source in names
        }
        assert len({(-(-w // 64), -(-h // 64)) for w, h in found}) <= 1
        # Full after so many pixels: no more than one picture beyond them.
        areas = [
            batches.size_of((tmp_path / t.source).read_bytes()) for t in batch if t.source in names
        ]
        assert sum(w * h for w, h in areas[:-1]) < 40_000


def test_no_more_is_looked_at_than_a_window(tmp_path):
    asked = itertools.count()

    def endless():
        while True:
            yield Task(f"{next(asked)}.png", "x.tfh", Found())

    dealt = batches.batches(endless(), open_place(str(tmp_path)), files=8, pixels=1 << 20)
    first = [next(dealt) for _ in range(3)]
    assert [len(batch) for batch in first] == [8, 8, 8]
    assert next(asked) == batches.WINDOW
    dealt.close()
