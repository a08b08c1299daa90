"""What people do with files and folders, each command as a process of its own."""

from __future__ import annotations

import io
import json
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

BIN = pathlib.Path(__file__).resolve().parents[2] / "bin"


@pytest.fixture
def work(tmp_path, monkeypatch, photo):
    """A working folder with pictures, other names of one, a model's folder and a checkpoint."""
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "b.jpg", "photo.png", "labels.png"):
        Image.fromarray(photo(32, 48)).save(name)
    for name in ("photo.tfh", "out/photo.tfh", "m/model.safetensors", "c/x.pt", "run/config.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"kept")
    os.symlink("photo.jpg", "symbolic.tfh")
    os.link("photo.jpg", "hard.tfh")
    os.link("c/x.pt", "m/hard.pt")
    os.makedirs("copy")
    os.link("c/x.pt", "copy/model.safetensors")
    return tmp_path


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


LOST = "would be lost. Name another output"
NAMED = "--force_name"
ANYHOW = ("--overwrite", "--force_name")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("compress", "photo.jpg", "photo.jpg", "--overwrite"), NAMED),
        (("compress", "photo.jpg", "./photo.jpg", *ANYHOW), LOST),
        (("compress", "photo.jpg", "symbolic.tfh", "--overwrite"), LOST),
        (("compress", "photo.jpg", "hard.tfh", "--overwrite"), LOST),
        (("compress", "photo.jpg", "b.jpg", "--overwrite"), NAMED),
        (("compress", "photo.jpg", "out.png"), NAMED),
        (("compress", "b.jpg", "labels.png", "--labels=labels.png", *ANYHOW), LOST),
        (("compress", "b.jpg", "m/model.safetensors", "--model=m", *ANYHOW), LOST),
        (("decompress", "photo.tfh"), "may be the original; name another output."),
        (("decompress", "photo.tfh", "photo.tfh", *ANYHOW), LOST),
        (("decompress", "photo.tfh", "x.docx"), NAMED),
        (("decompress", "photo.tfh", "x.tfh"), NAMED),
        (("batch", "photo.jpg", "b.jpg", "--overwrite", "--saved_model=m"), NAMED),
        (("batch", "photo.tfh", "b.jpg", "--overwrite", "--saved_model=m", "--decompress"), NAMED),
        (("batch", "photo.jpg", "hard.tfh", "--overwrite", "--saved_model=m"), LOST),
        (("evaluate", "--data=*.jpg", "--lpips=w.csv", "--out=w.csv", "--overwrite"), LOST),
        (("publish", "run", "m", "--out=.", "--stream_of=m", "--overwrite"), LOST),
        (("export_torch", "m", "m/hard.pt", "--overwrite"), LOST),
        (("export_torch", "m", "b.jpg", "--overwrite"), "expected a name that ends in .pt"),
        (("import_torch", "c/x.pt", "copy", "--overwrite"), LOST),
        (("digits", "run", "--data=run", "--grid=grid.jpg"), "expected a name that ends in .png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_no_command_writes_over_an_input_or_into_another_kinds_name(command, said, work):
    (work / "w.csv").write_bytes(b"kept")
    before = contents(work)
    done = subprocess.run(
        [sys.executable, str(BIN / f"{command[0]}.py"), *command[1:]],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    told = done.stderr.decode()
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert said in told
    assert done.stdout == b""
    assert contents(work) == before


def test_folder_of_everything_loses_nothing_and_says_what_it_leaves(tmp_path, photo, run_python):
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "below").mkdir(parents=True)
    for name, seed in {"1.jpg": 0, "1.webp": 1, "2.jfif": 2, "3.PNG": 3}.items():
        kind = {".jfif": "JPEG"}.get(os.path.splitext(name)[1])
        Image.fromarray(photo(24, 32, seed)).save(source / name, kind)
    for name in ("a.heic", "b.HEIC", "notes.txt", "._1.jpg"):
        (source / name).write_bytes(b"x")
    os.mkfifo(source / "pipe.jpg")
    os.symlink(source, source / "below" / "round")
    later = (2 * 10**18,) * 2
    os.utime(source / "2.jfif", ns=later)
    names = {"1.jpg.tfh", "1.webp.tfh", "2.tfh", "3.tfh"}
    left_out = {
        "other_kinds": {".heic": 2, ".txt": 1},
        "macos_companions": 1,
        "pipes_and_devices": 1,
        "linked_folders": 1,
    }
    for made in (True, False):
        done = run_python(BIN / "compress.py", source, target, "--recursive", "--json")
        assert done.returncode == 0, done.stderr
        *files, last = map(json.loads, done.stdout.decode().splitlines())
        assert {os.path.basename(facts["output"]) for facts in files} == names
        assert all(("skipped" in facts) != made for facts in files)
        assert last == {"input": str(source), "left_out": left_out}
        assert done.stderr.decode().count("\n") == 1
        assert "3 files of kinds that are not taken (.heic 2, .txt 1)" in done.stderr.decode()
    assert set(os.listdir(target)) == names

    done = run_python(BIN / "decompress.py", target, tmp_path / "back")
    assert done.returncode == 0, done.stderr
    assert "4 done, 0 skipped, 0 failed" in done.stderr.decode()
    for name, seed in {"1.jpg": 0, "1.webp": 1, "2": 2, "3": 3}.items():
        decoded = np.asarray(Image.open(tmp_path / "back" / f"{name}.png")).astype(float)
        assert np.mean((decoded - photo(24, 32, seed)) ** 2) < 300


def test_named_pipe_is_compressed_like_the_file(tmp_path, photo, run_python):
    data = io.BytesIO()
    Image.fromarray(photo(24, 32)).save(data, "PNG")
    (tmp_path / "a.png").write_bytes(data.getvalue())
    os.mkfifo(tmp_path / "pipe.png")
    writer = threading.Thread(target=(tmp_path / "pipe.png").write_bytes, args=(data.getvalue(),))
    writer.start()
    try:
        done = run_python(BIN / "compress.py", tmp_path / "pipe.png")
    finally:
        writer.join()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pipe.tfh").read_bytes()[:3] == b"TFH"


@pytest.mark.slow
def test_training_and_comparing_a_folder_with_a_pipe_come_to_an_end(tmp_path, photo, run_python):
    (tmp_path / "in").mkdir()
    for number in range(2):
        Image.fromarray(photo(80, 80, number)).save(tmp_path / "in" / f"{number}.png")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    data = f"--data={tmp_path / 'in'}"
    size = '{"latent_channels":48,"hyper_channels":16,"fine_channels":8,"coarse_channels":16}'
    for script, *flags in (
        ("train", f"--run_dir={tmp_path / 'run'}", "--steps=1", "--crop=64", "--batch_size=1"),
        ("evaluate", "--codecs=jpeg", "--ladder=jpeg:50", "--nomemory"),
    ):
        if script == "train":
            flags.append(f"--settings={size}")
        done = run_python(BIN / f"{script}.py", data, *flags)
        assert done.returncode == 0, done.stderr
        assert b"1 pipe or device" in done.stderr
