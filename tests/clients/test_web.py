"""The JavaScript module: what it makes of files is what the Python codec makes of them."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from tests.clients import web_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEB = ROOT / "clients" / "web"


def node(*arguments, **environment: str) -> subprocess.CompletedProcess:
    """Runs Node.js in the module's folder; skips where there is none."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs Node.js, which is not installed")
    return subprocess.run(
        [program, *map(str, arguments)],
        cwd=WEB,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def passes(name: str, **environment: str) -> None:
    """Runs the tests of a file of `clients/web/test`."""
    done = node("--test", WEB / "test" / name, **environment)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# pass 0" not in done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory, photo, tiny_codec, tiny_model_folder):
    folder = web_files.Folder(tmp_path_factory.mktemp("web_files"))
    web_files.fill(folder, photo, tiny_codec, tiny_model_folder)
    web_files.fill_shipped(folder, photo)
    folder.save()
    return folder.path


def test_latents_pixels_and_metadata_are_those_of_the_python_codec(files):
    passes("files.test.js", TFH_FILES=str(files))


def test_damaged_and_hostile_files_are_refused_in_one_line(
    tmp_path, tiny_codec, tiny_model_folder, photo
):
    file = tiny_codec.compress(photo(70, 90))
    (tmp_path / "sound.tfh").write_bytes(file)
    names = {}
    for number, (what, data) in enumerate(web_files.hostile(file).items()):
        (tmp_path / f"{number}.tfh").write_bytes(data)
        names[f"{number}.tfh"] = what
    (tmp_path / "hostile.json").write_text(json.dumps(names))
    model = tiny_model_folder / "model.safetensors"
    passes("damage.test.js", TFH_FILES=str(tmp_path), TFH_MODEL=str(model))


def test_parts_of_the_module_keep_their_own_promises(tmp_path):
    rng = np.random.default_rng(1)
    from tfhific.bitstream.checksum import farmhash64

    cases = []
    for size in [*range(1, 70), 127, 128, 129, 191, 192, 193, 1000, 65_537]:
        data = rng.integers(0, 256, size, np.uint8).tobytes()
        cases.append([data.hex(), str(farmhash64(data))])
    (tmp_path / "checksums.json").write_text(json.dumps(cases))
    passes("parts.test.js", TFH_FILES=str(tmp_path))
