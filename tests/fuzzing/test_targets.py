"""The fuzz targets on what they start from; and, slow, on what coverage leads them to."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from tests.fuzzing import run, targets

HERE = pathlib.Path(__file__).parent
SECONDS = int(os.environ.get("TFHIFIC_FUZZ_SECONDS", "60"))


def inputs(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((HERE / "corpus" / target).iterdir())]


def test_there_is_a_target_for_every_reader_with_something_to_start_from():
    assert tuple(targets.TARGETS) == run.NAMES
    assert all(inputs(name) for name in targets.TARGETS)


@pytest.mark.parametrize("name", run.NAMES)
def test_a_target_takes_what_it_starts_from_whole_cut_and_changed(name):
    for data in inputs(name):
        targets.TARGETS[name](data)
        step = max(len(data) // 40, 1)
        for at in range(0, len(data), step):
            targets.TARGETS[name](data[:at])
            changed = bytearray(data)
            changed[at] ^= 0xFF
            targets.TARGETS[name](bytes(changed))


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("container", "container.unpack"),
        ("payload", "coding.decode"),
        ("model", "load_model"),
        ("label_map", "label_map.decode_label_map"),
        ("pickle", "read_pickle"),
        ("picture", "header.read_header"),
    ],
)
def test_a_start_is_read_and_another_error_than_the_refusal_is_a_find(name, reader, monkeypatch):
    *module, function = reader.split(".")
    owner = getattr(targets, module[0]) if module else targets
    real, read = getattr(owner, function), []

    def watched(*arguments, **options):
        read.append(real(*arguments, **options))
        return read[-1]

    monkeypatch.setattr(owner, function, watched)
    for data in inputs(name):
        targets.TARGETS[name](data)
    # Of what there is to start from the reader takes more than it refuses.
    assert 2 * len(read) > len(inputs(name))

    def stumbles(*arguments, **options):
        raise KeyError("found")

    monkeypatch.setattr(owner, function, stumbles)
    with pytest.raises(KeyError, match="found"):
        targets.TARGETS[name](inputs(name)[0])


@pytest.mark.apart
@pytest.mark.slow
@pytest.mark.parametrize("name", run.NAMES)
def test_nothing_is_found_where_coverage_leads(name, tmp_path):
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("needs atheris: pip install -r requirements-fuzzing.txt")
    # What a process was started from counts in its peak of memory, which libFuzzer limits, and this
    # one may have run other tests. A shell between them is small, and stays where more follows.
    done = subprocess.run(
        [
            *("sh", "-c", '"$@"; exit $?', "sh"),
            sys.executable,
            str(HERE / "run.py"),
            name,
            f"--seconds={SECONDS}",
            f"--keep={tmp_path / 'finds'}",
            f"--found={tmp_path / 'found'}",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 300,
        check=False,
    )
    finds = sorted((tmp_path / "finds").iterdir())
    assert (done.returncode, finds) == (0, []), done.stderr[-4000:]
    assert "DONE" in done.stderr or "Done" in done.stderr
