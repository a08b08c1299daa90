"""Every command of the documents does what it says, as its own process, in a clean shell."""

from __future__ import annotations

import gzip
import os
import pathlib
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.bin import documented
from tests.bin.documented import ROOT


@pytest.fixture
def world(tmp_path, photo, label_picture, small_lpips):
    """A folder with what the documents take for granted, and links to the programs."""
    for name in ("bin", "tfhific", "tfc_port", "requirements.txt", ".venv"):
        if (ROOT / name).exists():
            (tmp_path / name).symlink_to(ROOT / name)
    # What is built there is not to lie in the checkout.
    built = shutil.ignore_patterns("build", "node_modules")
    shutil.copytree(ROOT / "clients", tmp_path / "clients", ignore=built)
    folders = ("photos", "kodak", "DIR", "DIR_OR_GLOB", "faces", "streets", "streets_labels")
    camvid = ("camvid/train", "camvid/train_labels")
    for name in (*folders, *camvid, "mnist", "models", "made", "runs", "served"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    for number in range(2):
        for name in folders[:-1]:
            Image.fromarray(photo(192, 256, number)).save(tmp_path / name / f"{number}.png")
        Image.fromarray(photo(192, 256, number)).save(tmp_path / f"camvid/train/{number}.png")
        labels = Image.fromarray(label_picture(192, 256, 5, number))
        for name in ("streets_labels", "camvid/train_labels"):
            labels.save(tmp_path / name / f"{number}.png")
    for name in ("photo.jpg", "my_photo.jpg", "street.png", "face.png"):
        Image.fromarray(photo(192, 256, 7)).save(tmp_path / name)
    for name in ("labels.png", "street_labels.png"):
        # All of the classes that commands keep are there.
        labels = label_picture(192, 256, 5)
        labels[:40, :40], labels[:40, 40:80], labels[40:80, :40] = 2, 3, 4
        Image.fromarray(labels).save(tmp_path / name)
    for name in ("lpips.npz", "lpips_alex.npz", "lpips_squeeze_v0.1.npz"):
        shutil.copy(small_lpips, tmp_path / name)
    _write_digits(tmp_path / "mnist")
    return tmp_path


def _write_digits(folder: pathlib.Path) -> None:
    rng = np.random.default_rng(3)
    for split, count in (("train", 120), ("t10k", 40)):
        images = rng.integers(0, 256, [count, 28, 28], np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            data = gzip.compress(head + array.tobytes())
            (folder / f"{split}-{name}-ubyte.gz").write_bytes(data)


@pytest.fixture(scope="session")
def torch_checkpoint(tmp_path_factory) -> pathlib.Path:
    """A small HiFiC as a checkpoint of its PyTorch implementation."""
    from tfhific.backend import keras
    from tfhific.interop.hific_checkpoint import checkpoint_of
    from tfhific.interop.torch_writer import write_checkpoint
    from tfhific.models.hific import HiFiC
    from tfhific.systems import configuration

    keras.utils.set_random_seed(4)
    model = HiFiC(configuration("hific", {"variant": "pytorch"}, "hific-tiny"))
    path = tmp_path_factory.mktemp("checkpoint") / "hific_low.pt"
    write_checkpoint(path, checkpoint_of(model))
    return path


@pytest.fixture
def run_documented(world, torch_checkpoint, clean_shell):
    """A function that runs commands of a document, one after the other, in the world."""
    shutil.copy(torch_checkpoint, world / "hific_low.pt")
    folders = (os.path.dirname(sys.executable), os.environ["PATH"], str(world / "bin"))
    programs = os.pathsep.join(folders)

    def one(words, **variables) -> None:
        done = subprocess.run(
            words,
            cwd=world,
            env=clean_shell(**{"PATH": programs, "PYTHON": sys.executable, **variables}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=900,
            check=False,
        )
        said = done.stderr.decode(errors="replace")
        assert done.returncode == 0, f"{' '.join(words)}\n{said}"
        assert "Traceback" not in said, said

    def run(found: list[documented.Command]) -> int:
        assignments, count = [], 0
        for command in found:
            recipe = documented.recipe_for(command)
            assert recipe is not None, f"nobody has said how to test: {command}"
            if documented.is_assignment(command):
                assignments.append(command.text)
            if recipe.reason_against() or _not_here(command):
                continue
            for before in recipe.before:
                one(before.split())
            variables, words = documented.words_of(command, assignments)
            one(recipe.change(words), **variables)
            count += 1
        return count

    return run


def _not_here(command: documented.Command) -> bool:
    """Whether a command sets up the other stack's environment."""
    ours = pathlib.Path(sys.prefix).resolve()
    return command.text.startswith("bin/demo") and ours != (ROOT / ".venv").resolve()


@pytest.mark.parametrize("document", documented.DOCUMENTS)
def test_every_documented_command_has_a_recipe(document):
    for command in documented.commands(document):
        assert documented.recipe_for(command) is not None, command


def test_a_command_is_left_out_where_a_program_that_it_needs_is_missing():
    assert documented.Recipe(needs=("python3", "no-such-tool")).reason_against() == (
        "needs no-such-tool"
    )
    assert documented.Recipe(needs=()).reason_against() == ""
    assert documented.Recipe("a reason", needs=("no-such-tool",)).reason_against() == "a reason"


def test_commands_are_found_whatever_block_they_stand_in(tmp_path, monkeypatch):
    text = (
        "# One\n\n    bin/compress.py a.png   # said\n    made a.tfh\n\n## Two\n\n```bash\n"
        "bin/train.py --x \\\n    --y\nanything | else\n```\n\n```python\nbin/no.py\n```\n"
        "    bin/compress.py, whole process: 3 s\n    X=1 bin/info.py a.tfh\n"
        "    tfhific make-shards a b   # said\n"
    )
    (tmp_path / "text.md").write_text(text)
    monkeypatch.setattr(documented, "ROOT", tmp_path)
    found = [(each.section, each.text) for each in documented.commands("text.md")]
    assert found == [
        ("One", "bin/compress.py a.png"),
        ("Two", "bin/train.py --x --y"),
        ("Two", "anything | else"),
        ("Two", "X=1 bin/info.py a.tfh"),
        ("Two", "tfhific make-shards a b"),
    ]
    for way in ("bin/make_shards.py a b", "bin/tfhific make-shards a b", "tfhific make-shards a b"):
        assert documented.recipe_for(documented.Command("", "", 1, way)) == documented.Recipe()
    assert documented.recipe_for(documented.Command("", "", 1, "bin/unheard_of.py a")) is None


@pytest.mark.parametrize(
    ("document", "section", "fewest"),
    [
        ("README.md", "Compress and decompress", 8),
        ("docs/hific.md", "Import a checkpoint", 4),
    ],
)
def test_first_commands_of_a_user_succeed(document, section, fewest, run_documented):
    found = [each for each in documented.commands(document) if each.section == section]
    assert run_documented(found) >= fewest


@pytest.mark.apart
@pytest.mark.slow
@pytest.mark.parametrize("document", documented.DOCUMENTS)
def test_all_commands_of_a_document_succeed(document, world, run_documented, whole_models_folder):
    shutil.copytree(whole_models_folder / "sc", world / "made/my-sc")
    found = documented.commands(document)
    wanted = [each for each in found if not documented.recipe_for(each).reason_against()]
    left_out = [each for each in wanted if _not_here(each)]
    assert run_documented(found) == len(wanted) - len(left_out)
