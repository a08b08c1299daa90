"""compress --effort, in this process and as one of its own."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
from PIL import Image

from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.published.store import save_model


@pytest.fixture(scope="module")
def model(tiny_published, tmp_path_factory):
    """The tiny model, which says what it was trained for: it and its folder."""
    weights = {"config": {"lambda_min": 0.0008, "lambda_max": 0.03}}
    published = dataclasses.replace(tiny_published, training=weights)
    folder = tmp_path_factory.mktemp("effort") / "tiny"
    save_model(published, folder)
    return published, folder


@pytest.fixture
def work(tmp_path, monkeypatch, photo):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for seed in (0, 1):
        stream = io.BytesIO()
        Image.fromarray(photo(48, 64, seed=seed)).save(stream, "png")
        (tmp_path / "photos" / f"{seed}.png").write_bytes(stream.getvalue())
    return tmp_path


def test_folder_is_compressed_with_effort_and_decompressed_by_a_new_process(
    work, model, run_script, photo
):
    published, folder = model
    codec = HyperpriorCodec(published)
    flags = ["--effort=2", "--quality=4", "--verify", "--json"]
    done = run_script("compress", work / "photos", work / "out", f"--model={folder}", *flags)
    assert done.returncode == 0, done.stderr.decode()
    # Progress is for terminals.
    assert done.stderr == b""
    for line in done.stdout.decode().splitlines():
        assert json.loads(line)["quality"] == 4
    for seed in (0, 1):
        data = (work / "out" / f"{seed}.tfh").read_bytes()
        assert data == codec.compress(photo(48, 64, seed=seed), 4, effort=2)
        assert data != codec.compress(photo(48, 64, seed=seed), 4)
    # The model that it finds says nothing of weights, and has the same fingerprint.
    done = run_script("decompress", work / "out", work / "back")
    assert done.returncode == 0, done.stderr.decode()
    assert Image.open(work / "back" / "1.png").size == (64, 48)


def test_help_names_the_efforts(run_script):
    done = run_script("compress", "--help")
    assert done.returncode == 0
    assert "--effort" in done.stdout.decode()
    assert "1 (fastest) to 9" in done.stdout.decode()


def test_target_is_met_with_effort(work, model, call_script):
    flags = [f"--model={model[1]}", "--target_bytes=380", "--json"]
    plain = call_script("compress", "photos/0.png", "plain.tfh", *flags)
    hard = call_script("compress", "photos/0.png", "hard.tfh", *flags, "--effort=3")
    assert (plain.code, hard.code) == (0, 0), hard.err
    facts = [json.loads(done.out) for done in (plain, hard)]
    assert facts[1]["bytes"] == (work / "hard.tfh").stat().st_size <= 380
    assert facts[1]["quality"] > facts[0]["quality"]


@pytest.mark.parametrize("effort", ["0", "10", "x", "2.5", "True", ""])
def test_other_efforts_are_refused_in_one_line(effort, work, model, call_script):
    done = call_script("compress", "photos/0.png", "a.tfh", f"--effort={effort}")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "--effort" in done.err
    assert "1" in done.err
    assert not (work / "a.tfh").exists()


def test_models_without_effort_refuse_it_once_for_a_folder(work, call_script):
    done = call_script("compress", "photos", "--model=tiny", "--effort=5")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "tiny has no --effort above 1" in done.err
    assert sorted(path.name for path in (work / "photos").iterdir()) == ["0.png", "1.png"]
