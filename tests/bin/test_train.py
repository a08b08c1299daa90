"""`bin/train.py` and `bin/publish.py`: from a folder of images to a model that codes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import tfhific
from tfhific.published.store import FILE_NAME, read_description

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bin" / "train.py"

TINY = {
    "latent_channels": 32,
    "hyper_channels": 12,
    "fine_channels": 8,
    "coarse_channels": 8,
    "num_blocks": 0,
}
FLAGS = [
    "--steps=40",
    "--batch_size=2",
    "--crop=64",
    "--save_every=5",
    "--log_every=5",
    "--learning_rate=0.003",
    "--warmup_steps=5",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory, photo):
    # As large as the crops: every step sees the same two, if mirrored, and losses compare.
    folder = tmp_path_factory.mktemp("images")
    for seed in range(2):
        Image.fromarray(photo(64, 64, seed)).save(folder / f"{seed}.png")
    (folder / "broken.jpg").write_bytes(b"not a picture")
    return folder


@pytest.fixture(scope="module")
def killed_run(images, tmp_path_factory, clean_shell):
    """A run killed without warning after its second checkpoint, and what it said."""

    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    said = run_dir.parent / "said"
    command = [
        sys.executable,
        SCRIPT,
        f"--data={images}",
        f"--run_dir={run_dir}",
    ]
    command += [f"--settings={json.dumps(TINY)}", *FLAGS]
    with open(said, "wb") as stream:
        process = subprocess.Popen(
            command, stderr=stream, stdin=subprocess.DEVNULL, env=clean_shell()
        )
        try:
            deadline = time.monotonic() + 400
            while not (run_dir / "checkpoints" / "ckpt-10.index").exists():
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return run_dir, said.read_text()


def numbers(text: str) -> dict[int, dict[str, float]]:
    """What the log's lines say, by their steps."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"step (\d+)  ", line)
        if match:
            found[int(match[1])] = {
                name: float(re.search(rf"\b{name} (\S+)", line)[1])
                for name in ("loss", "bpp", "mse", "learning_rate")
            }
    return found


@pytest.fixture
def train(call_script):
    return lambda *arguments: call_script("train", *arguments)


def test_run_goes_on_after_a_kill_learns_and_is_published(
    killed_run, images, train, call_script, tmp_path, photo
):
    from tfhific.training.schedule import CosineSchedule

    run_dir, first = killed_run
    done = train(f"--data={images}", f"--run_dir={run_dir}", "--resume", *FLAGS)
    assert done.code == 0
    begun = int(re.search(r"from step (\d+)", done.err)[1])
    # The kill may have come between the second checkpoint's files and its entry in the list.
    assert begun >= 5
    assert begun % 5 == 0
    assert "step 40: " in done.err
    assert "1 unreadable images were skipped" in done.err
    assert "broken.jpg" in done.err
    before, after = numbers(first), numbers(done.err)
    assert sorted(after) == list(range(begun + 5, 41, 5))
    schedule = CosineSchedule(0.003, 5)
    for step, values in {**before, **after}.items():
        assert values["learning_rate"] == pytest.approx(
            schedule(step - 1, (step - 1) / 40), rel=1e-2
        )
    for name in ("loss", "bpp", "mse"):
        assert after[40][name] < 0.95 * before[5][name]

    done = call_script("publish", run_dir, "mine", f"--out={tmp_path}")
    assert (done.code, done.err) == (0, "")
    codec = tfhific.load(tmp_path / "mine")
    assert codec.name == "mine"
    assert codec.fingerprint.hex() in done.out
    assert codec.published.training["step"] == 40
    assert codec.published.training["minutes"] > 0
    assert codec.published.training["config"]["latent_channels"] == 32
    image = photo(50, 60)
    coded = codec.encode(image, 3)
    np.testing.assert_array_equal(codec.decompress(coded.data), codec.reconstruct(coded))

    written = (tmp_path / "mine" / FILE_NAME).read_bytes()
    done = call_script("publish", run_dir, "mine", f"--out={tmp_path}")
    assert done.code == 1
    assert "--overwrite" in done.err
    assert call_script("publish", run_dir, "mine", f"--out={tmp_path}", "--overwrite").code == 0
    assert (tmp_path / "mine" / FILE_NAME).read_bytes() == written


def test_a_decoder_for_anothers_files_is_published_alone_or_whole(
    killed_run, images, call_script, tmp_path
):
    run_dir, _ = killed_run
    for name, *flags in (
        ("fitted", f"--data={images}"),
        ("alone", f"--stream_of={tmp_path / 'fitted'}"),
        ("third", f"--stream_of={tmp_path / 'alone'}"),
        ("whole", f"--stream_of={tmp_path / 'fitted'}", "--whole"),
    ):
        done = call_script("publish", run_dir, name, f"--out={tmp_path}", *flags)
        assert done.code == 0, done.err
        assert "note: " not in done.err
    fitted, alone, third, whole = (
        tfhific.load(tmp_path / name) for name in ("fitted", "alone", "third", "whole")
    )
    assert fitted.fingerprint == alone.fingerprint == third.fingerprint == whole.fingerprint
    assert alone.name == "alone"
    said = {name: read_description(tmp_path / name) for name in ("alone", "third", "whole")}
    assert said["alone"]["decoder_of"] == said["third"]["decoder_of"] == "fitted"
    assert "decoder_of" not in said["whole"]

    before = (tmp_path / "fitted" / FILE_NAME).read_bytes()
    own = ("--overwrite", f"--stream_of={tmp_path / 'alone'}")
    refused(call_script("publish", run_dir, "fitted", f"--out={tmp_path}", *own), "would be lost")
    assert (tmp_path / "fitted" / FILE_NAME).read_bytes() == before
    done = call_script("publish", run_dir, "apart", f"--out={tmp_path / 'other'}", own[1])
    assert done.code == 0
    assert "fitted, which is not here" in done.err


def test_publishing_names_pictures_that_can_not_be_read_and_goes_on(
    killed_run, images, call_script, tmp_path
):
    run_dir, _ = killed_run
    done = call_script("publish", run_dir, "fitted", f"--out={tmp_path}", f"--data={images}")
    assert done.code == 0, done.err
    assert done.err.count("\n") == 1
    assert done.err.startswith("skipped: ")
    assert "broken.jpg" in done.err
    done = call_script(
        "publish", run_dir, "none", f"--out={tmp_path}", f"--data={images / 'broken.jpg'}"
    )
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("error: None of the images can be read.")
    assert not (tmp_path / "none").exists()


def test_a_dead_zone_is_published_with_the_model(killed_run, run_script, tmp_path):
    run_dir, _ = killed_run
    done = run_script("publish", run_dir, "fewer", f"--out={tmp_path}", "--dead_zone=0.02")
    assert done.returncode == 0, done.stderr.decode()
    assert tfhific.load(tmp_path / "fewer").published.dead_zone.max() > 0.1


def refused(done, said) -> None:
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: ")
    assert said in done.err


def test_existing_run_is_not_started_again(killed_run, images, train):
    run_dir, _ = killed_run
    before = (run_dir / "config.json").read_bytes()
    refused(train(f"--data={images}", f"--run_dir={run_dir}", *FLAGS), "--resume")
    assert (run_dir / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run_dir=new", "--steps=5"], "--data"),
        (["--data=images", "--steps=5"], "--run_dir"),
        (["--data=images", "--run_dir=new"], "--steps or --minutes"),
        (["--data=images", "--run_dir=new", "--steps=5", "--crop=100"], "--crop"),
        (["--data=empty", "--run_dir=new", "--steps=5"], "No images in"),
        (["--data=missing", "--run_dir=new", "--steps=5"], "No images in"),
        (["--data=images", "--run_dir=new", "--steps=5", "--resume"], "no run to resume"),
        (["--data=images", "--run_dir=new", "--steps=5", "--model=maxi"], "maxi"),
        (["--data=images", "--run_dir=new", "--steps=5", "--settings={"], "--settings"),
        (["--data=images", "--run_dir=new", "--steps=5", "--settings=[1]"], "--settings"),
        (["--data=images", "--run_dir=new", "--steps=5", '--settings={"depth": 3}'], "depth"),
        (["--data=images", "--run_dir=new", "--steps=5", "extra"], "'extra'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_give_one_line_exit_code_1_and_no_run(
    arguments, said, images, train, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "images").symlink_to(images)
    refused(train(*arguments), said)
    assert not os.path.exists("new")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "two arguments"),
        (["run"], "two arguments"),
        (["run", "../name"], "../name"),
        (["run", ".hidden"], ".hidden"),
        (["run", "name"], "holds no training run"),
        (["begun", "name"], "no checkpoint yet"),
        (["begun", "less", "--dead_zone=-1"], "dead_zone"),
        (["begun", "two", "--stream_of=mini", "--dead_zone=0.01"], "not both: that model's"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_can_not_be_published_is_told(arguments, said, call_script, tmp_path, monkeypatch):
    from tfhific.training.trainer import write_config

    monkeypatch.chdir(tmp_path)
    write_config("begun", {"system": "mini", "config": TINY, "seed": 0})
    refused(call_script("publish", *arguments, f"--out={tmp_path / 'out'}"), said)
    assert not os.path.exists("out")
