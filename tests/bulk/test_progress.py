"""The estimate of a job's end."""

from __future__ import annotations

import pytest

from tfhific.bulk.places import Found
from tfhific.bulk.plan import Task
from tfhific.bulk.progress import Progress, duration
from tfhific.bulk.work import failed


def test_what_is_left_is_told_by_bytes():
    now = [0.0]
    sizes = {"first": 10, "big": 2_999, "small": 999}
    tasks = [Task(name, f"{name}.tfh", Found(size)) for name, size in sizes.items()]
    said: list[str] = []
    progress = Progress(tasks, said.append, lambda: now[0])
    progress.tick()
    assert (said, progress.line()) == ([], "0 of 3 pictures, 0 failed; the workers start")
    now[0] = 5_000.0
    progress.add(failed(tasks[0], "cut"))
    assert progress.line() == "1 of 3 pictures, 1 failed"
    now[0] = 5_060.0
    progress.add(failed(tasks[1], "cut"))
    progress.tick()
    assert said == ["2 of 3 pictures, 2 failed, 0.0 a second, about 20 s left"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99, "99 s"), (100, "2 min"), (5_990, "1 h 40 min"), (190_000, "2 d 5 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
