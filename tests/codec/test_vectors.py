"""The test vectors: decoders here agree with them, and they are what their script makes."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

import tfhific
from tfhific.bitstream import container
from tfhific.errors import BitstreamError

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(__file__).parent / "data" / "vectors"
LISTED = json.loads((FOLDER / "vectors.json").read_text())
FILES = {entry["name"]: entry for entry in LISTED["files"]}


@pytest.fixture(scope="module")
def script() -> types.ModuleType:
    path = ROOT / "tools" / "make_test_vectors.py"
    found = importlib.util.spec_from_file_location("make_test_vectors", path)
    module = importlib.util.module_from_spec(found)
    # Its dataclasses look their module up.
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def codec():
    return tfhific.load(FOLDER)


def integers(name: str, part: str) -> np.ndarray:
    return np.load(FOLDER / f"{name}.{part}.npy").astype(np.int32)


def test_model_is_the_one_that_the_files_name(codec):
    assert codec.fingerprint.hex() == LISTED["fingerprint"]
    for name in FILES:
        contents = container.unpack((FOLDER / f"{name}.tfh").read_bytes())
        assert contents.fingerprint == codec.fingerprint


def test_vectors_cover_versions_qualities_layouts_and_metadata():
    assert {entry["version"] for entry in FILES.values()} == set(container.READABLE_VERSIONS)
    codes = {entry["quality_code"] for entry in FILES.values()}
    assert {container.quality_code(quality) for quality in (1, 5, 8)} < codes
    assert any(entry["band_rows"] for entry in FILES.values())
    assert any(min(entry["streams"]) > 1 for entry in FILES.values())
    for kind in ("alpha", "icc", "exif"):
        assert {entry[kind] for entry in FILES.values()} == {True, False}
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 1_500_000


@pytest.mark.parametrize("name", FILES)
def test_python_decoder_agrees_with_a_vector(name, codec):
    data, entry = (FOLDER / f"{name}.tfh").read_bytes(), FILES[name]
    contents = container.unpack(data)
    assert contents.size == (entry["height"], entry["width"])
    assert contents.quality_code == entry["quality_code"]
    assert [contents.z_streams, contents.y_streams] == entry["streams"]
    assert (contents.version, contents.band_rows) == (entry["version"], entry["band_rows"])
    latents = codec.decode_latents(data)
    found = {"hyperlatents": latents.z, "indexes": latents.indexes, "symbols": latents.y}
    for part, values in found.items():
        assert np.array_equal(values, integers(name, part)), part
    picture = codec.decompress_picture(data)
    kept = np.asarray(Image.open(FOLDER / f"{name}.png")).astype(int)
    assert np.abs(picture.pixels - kept[..., :3]).max() <= 1
    assert (picture.alpha is not None) == (kept.shape[-1] == 4) == entry["alpha"]
    if picture.alpha is not None:
        assert np.array_equal(picture.alpha, kept[..., 3])
    for kind in ("icc", "exif"):
        path = FOLDER / f"{name}.{kind}"
        assert getattr(picture, kind) == (path.read_bytes() if entry[kind] else None)


@pytest.mark.parametrize("name", FILES)
def test_symbols_of_a_vector_give_its_files_bytes(name, codec, script):
    """On every machine: tables and layout are all that the payloads depend on."""
    data = (FOLDER / f"{name}.tfh").read_bytes()
    latents = types.SimpleNamespace(
        z=integers(name, "hyperlatents"),
        y=integers(name, "symbols"),
        indexes=integers(name, "indexes"),
    )
    contents = dataclasses.replace(container.unpack(data), z=b"", y=b"")
    assert container.pack(script.rebuilt(contents, latents, codec.published)) == data


def test_script_lists_and_makes_what_is_kept(script, codec):
    assert [vector.name for vector in script.VECTORS] == list(FILES)
    kept = {path.name for path in FOLDER.glob("*.tfh")}
    assert kept == {f"{name}.tfh" for name in FILES}
    made = script.make_file(next(v for v in script.VECTORS if v.name == "row"), codec)
    # A latent at the edge between two symbols may fall to either side of it elsewhere.
    assert np.mean(codec.decode_latents(made).y != integers("row", "symbols")) < 0.01


def test_refused_files_are_those_that_the_script_makes(script):
    made = script.refused((FOLDER / "sound.tfh").read_bytes())
    assert {name: why for name, (_, why) in made.items()} == LISTED["refused"]
    kept = {path.stem for path in (FOLDER / "refused").glob("*.tfh")}
    assert kept == set(made)
    for name, (data, _) in made.items():
        # Another zlib may deflate the same zeros to other bytes.
        if not name.startswith("alpha-"):
            assert (FOLDER / "refused" / f"{name}.tfh").read_bytes() == data, name


@pytest.mark.parametrize("name", LISTED["refused"])
def test_python_decoder_refuses_in_one_line(name, codec):
    with pytest.raises(BitstreamError, match=r"\A[^\n]+\Z"):
        codec.decompress_picture((FOLDER / "refused" / f"{name}.tfh").read_bytes())


def _node(test: str, **environment: str) -> None:
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs Node.js, which is not installed")
    done = subprocess.run(
        [program, "--test", str(ROOT / "clients" / "web" / "test" / test)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# pass 0" not in done.stdout


def test_javascript_decoder_agrees_with_all_vectors(tmp_path):
    entries = []
    for name, entry in FILES.items():
        shutil.copy(FOLDER / f"{name}.tfh", tmp_path)
        for part, ending in (("hyperlatents", "z"), ("indexes", "indexes"), ("symbols", "symbols")):
            integers(name, part).astype("<i4").tofile(tmp_path / f"{name}.{ending}")
        kept = np.asarray(Image.open(io.BytesIO((FOLDER / f"{name}.png").read_bytes())))
        (tmp_path / f"{name}.rgb").write_bytes(kept[..., :3].tobytes())
        if entry["alpha"]:
            (tmp_path / f"{name}.alpha").write_bytes(kept[..., 3].tobytes())
        for kind in ("icc", "exif"):
            if entry[kind]:
                shutil.copy(FOLDER / f"{name}.{kind}", tmp_path)
        size = {"height": entry["height"], "width": entry["width"]}
        entries.append({"name": name, "model": str(FOLDER / "model.safetensors"), **size})
    (tmp_path / "files.json").write_text(json.dumps(entries))
    _node("files.test.js", TFH_FILES=str(tmp_path))


def test_javascript_decoder_refuses_what_is_to_be_refused(tmp_path):
    shutil.copy(FOLDER / "sound.tfh", tmp_path)
    for path in (FOLDER / "refused").glob("*.tfh"):
        shutil.copy(path, tmp_path)
    names = {f"{name}.tfh": why for name, why in LISTED["refused"].items()}
    (tmp_path / "hostile.json").write_text(json.dumps(names))
    (tmp_path / "mutated.json").write_text(json.dumps({"sound": True}))
    model = str(FOLDER / "model.safetensors")
    _node("damage.test.js", TFH_FILES=str(tmp_path), TFH_MODEL=model)
