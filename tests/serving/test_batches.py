"""Batches of files through an export, and the load test."""

from __future__ import annotations

import time

import pytest

from tests.serving import pictures
from tfhific.errors import ModelError
from tfhific.files.jobs import Job
from tfhific.pictures.images import read_picture
from tfhific.serving import load as load_test
from tfhific.serving import pipeline


def test_results_keep_the_order_of_the_jobs_and_their_errors(tmp_path):
    jobs = []
    for number in range(11):
        source = tmp_path / f"{number}.bin"
        if number != 4:
            source.write_bytes(bytes([number]))
        jobs.append(Job(str(source), str(tmp_path / "out" / f"{number}.txt")))
    sizes = []

    def work(batch):
        sizes.append(len(batch))
        return [(b"", "odd") if data[0] == 7 else (data * 3, "") for data in batch]

    facts = list(pipeline.run(jobs, work, batch_size=4))
    assert [entry["output"] for entry in facts] == [job.destination for job in jobs]
    assert sizes == [4, 3, 3]
    for number, entry in enumerate(facts):
        written = tmp_path / "out" / f"{number}.txt"
        if number in (4, 7):
            assert f"{number}.bin" in entry["error"]
            assert not written.exists()
        else:
            assert entry["bytes"] == 3
            assert written.read_bytes() == bytes([number]) * 3


def test_outputs_that_are_one_file_are_written_once(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "a.out").symlink_to("b.out")
    jobs = [Job(str(tmp_path / name), str(tmp_path / f"{name}.out")) for name in ("a", "b")]
    facts = list(pipeline.run(jobs, lambda batch: [(data, "") for data in batch], overwrite=True))
    assert sorted("error" in entry for entry in facts) == [False, True]
    kept = next(entry for entry in facts if "error" not in entry)
    assert (tmp_path / "b.out").read_bytes() == (tmp_path / kept["input"]).read_bytes()


def test_reading_goes_on_while_a_batch_is_worked_on(tmp_path, monkeypatch):
    jobs = []
    for number in range(4):
        (tmp_path / str(number)).write_bytes(b"x")
        jobs.append(Job(str(tmp_path / str(number)), str(tmp_path / f"{number}.out")))
    read = []
    original = pipeline.read_bytes
    monkeypatch.setattr(pipeline, "read_bytes", lambda path: read.append(path) or original(path))
    seen = []

    def work(batch):
        deadline = time.monotonic() + 10
        while len(read) < min(4, 2 * (len(seen) + 2)) and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(len(read))
        return [(b"y", "") for _ in batch]

    assert len(list(pipeline.run(jobs, work, batch_size=2))) == 4
    assert seen[0] == 4


def test_the_script_does_a_folder_and_the_folder_back(
    call_script, export_folder, loaded, tmp_path, tiny_codec, monkeypatch
):
    import tensorflow as tf

    cases = {"a.png": "png-alpha", "b.jpg": "jpeg-exif-6", "c.gif": "gif"}
    (tmp_path / "in").mkdir()
    for name, case in cases.items():
        (tmp_path / "in" / name).write_bytes(pictures.readable()[case])
    (tmp_path / "in" / "d.png").write_bytes(b"no image")
    model = f"--saved_model={export_folder}"
    done = call_script("batch", model, tmp_path / "in", tmp_path / "packed", "--batch_size=2")
    assert done.code == 1
    assert "d.png" in done.err
    assert "3 done, 0 skipped, 1 failed" in done.out
    for name in cases:
        expected = tiny_codec.compress_picture(read_picture(tmp_path / "in" / name), 5.0)
        assert (tmp_path / "packed" / f"{name[0]}.tfh").read_bytes() == expected
    # The same export, loaded before: a graph's first call takes seconds.
    monkeypatch.setattr(tf.saved_model, "load", {str(export_folder / "1"): loaded}.__getitem__)
    done = call_script("batch", model, tmp_path / "packed", tmp_path / "back", "--decompress")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == [
        "a.png",
        "b.png",
        "c.png",
    ]


def test_a_folder_without_an_export_is_refused(tmp_path):
    with pytest.raises(ModelError, match="expected a SavedModel"):
        pipeline.SavedModel(str(tmp_path))


def test_the_load_test_counts_every_call_and_orders_its_percentiles():
    load = load_test.measure(lambda: time.sleep(0.002), concurrency=3, seconds=0.1)
    assert load.calls == len(load.latencies) >= 3
    assert load.percentile(50) <= load.percentile(99)
    assert load.percentile(50) >= 0.002
    assert load.throughput == load.calls / load.seconds
    assert "p95" in load.line()


def test_the_load_test_raises_what_a_call_raises():
    def call():
        raise ValueError("no answer")

    with pytest.raises(ValueError, match="no answer"):
        load_test.measure(call, concurrency=2, seconds=0.1)
