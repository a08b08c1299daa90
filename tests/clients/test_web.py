"""The JavaScript module: what it makes of files is what the Python codec makes of them."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

import tfhific
from tests.clients import changed_files, web_files
from tests.codec.rewriting import rewrite
from tfhific.bitstream import container
from tfhific.pictures.images import read_picture

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEB = ROOT / "clients" / "web"
KODAK = ROOT.parent / "shared" / "data" / "kodak"


def node(*arguments, folder: pathlib.Path = WEB, **environment: str) -> subprocess.CompletedProcess:
    """Runs Node.js in the module's folder; skips where there is none."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs Node.js, which is not installed")
    return subprocess.run(
        [program, *map(str, arguments)],
        cwd=folder,
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
    # Escapes are part of it, and several bands and streams.
    small = tiny_codec.compress(photo(100, 40), 8.0)
    small = web_files.written_anew(
        small, tiny_codec, change=lambda y: y.flat.__setitem__(5, 999), bands=4, streams=(2, 2)
    )
    mutated = web_files.mutated(small, tiny_codec, 120)
    for name, (data, _) in mutated.items():
        (tmp_path / f"{name}.tfh").write_bytes(data)
    verdicts = {name: decodes for name, (_, decodes) in mutated.items()}
    assert 5 < sum(verdicts.values()) < 115
    (tmp_path / "mutated.json").write_text(json.dumps(verdicts))
    model = tiny_model_folder / "model.safetensors"
    passes("damage.test.js", TFH_FILES=str(tmp_path), TFH_MODEL=str(model))


def test_a_decoder_alone_is_read_over_its_codec_and_refused_over_others(
    tmp_path, tiny_codec, tiny_published, tiny_model_folder, models_folder, photo
):
    folder = web_files.decoder_alone_of(tiny_published, tiny_model_folder, tmp_path / "sharper")
    stranger = models_folder.parent / f"{models_folder.name}-elsewhere" / "stranger"
    paths = {"codec": tiny_model_folder, "decoder": folder, "stranger": stranger}
    for name, path in paths.items():
        shutil.copyfile(path / "model.safetensors", tmp_path / f"{name}.safetensors")
    (tmp_path / "sound.tfh").write_bytes(tiny_codec.compress(photo(50, 70)))
    hostile = {
        "a format without decoders": lambda d: d.update(format=3),
        "another fingerprint": lambda d: d.update(fingerprint="0" * 16),
        "another system": lambda d: d.update(system="mini2"),
        "another range of pixels": lambda d: d.update(pixel_range=[0, 1]),
        "no network": lambda d: d.update(networks={}),
        "a second network": lambda d: d["networks"].update(analysis=[]),
        "networks that are none": lambda d: d.update(networks=[5]),
        "a first layer that is missing": lambda d: d["networks"]["synthesis"].pop(0),
        "a layer that gives too many channels": lambda d: d["networks"]["synthesis"].append(
            {"op": "space_to_depth", "block": 2}
        ),
    }
    names = {}
    for number, (what, change) in enumerate(hostile.items()):
        shutil.copytree(folder, tmp_path / str(number))
        rewrite(tmp_path / str(number), change)
        names[f"{number}/model.safetensors"] = what
    (tmp_path / "hostile.json").write_text(json.dumps(names))
    passes("decoder.test.js", TFH_FILES=str(tmp_path))


def agree_on_changed(folder: pathlib.Path, codec, model: pathlib.Path, photo, count: int) -> None:
    """The module decodes the changed files that Python decodes, and refuses the others."""
    decoded, refused = changed_files.fill(folder, codec, photo, count, seed=300)
    print(f"{count} files, {decoded} decoded and {refused} refused by both")
    assert min(decoded, refused) > count // 20
    passes("changed.test.js", TFH_FILES=str(folder), TFH_MODEL=str(model / "model.safetensors"))


def test_changed_files_are_decoded_or_refused_as_by_python(
    tmp_path, tiny_codec, tiny_model_folder, photo
):
    agree_on_changed(tmp_path, tiny_codec, tiny_model_folder, photo, 200)


@pytest.mark.slow
def test_5000_changed_files_are_decoded_or_refused_as_by_python(
    tmp_path, tiny_codec, tiny_model_folder, photo
):
    agree_on_changed(tmp_path, tiny_codec, tiny_model_folder, photo, 5000)
    shutil.rmtree(tmp_path)  # the pictures, which pytest would keep


@pytest.mark.parametrize("size", [(3, 5), (66, 81)])
def test_what_the_module_encodes_is_what_the_python_codec_encodes(
    size, tmp_path, tiny_codec, tiny_model_folder, photo
):
    pixels = photo(*size)
    alpha = np.broadcast_to(np.arange(size[1], dtype=np.uint8) * 3, size)
    np.dstack([pixels, alpha]).tofile(tmp_path / "in.rgba")
    model = tiny_model_folder / "model.safetensors"
    arguments = (tmp_path / "in.rgba", size[1], size[0], 3.5, tmp_path / "out.tfh")
    done = node(WEB / "test" / "encode.js", model, *arguments)
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "out.tfh").read_bytes()
    picture = tiny_codec.decompress_picture(data)
    assert np.array_equal(picture.alpha, alpha)
    own = tiny_codec.decode_latents(tiny_codec.compress(pixels, 3.5))
    found = tiny_codec.decode_latents(data)
    # A latent at the edge between two symbols may fall to either side of it.
    assert np.mean(found.z != own.z) < 0.01
    assert np.mean(found.y != own.y) < 0.01
    # Of equal latents, streams and layout are equal too.
    if np.array_equal(found.z, own.z) and np.array_equal(found.y, own.y):
        plain = container.unpack(tiny_codec.compress(pixels, 3.5))
        assert dataclasses.replace(container.unpack(data), alpha=None) == plain


def test_parts_of_the_module_keep_their_own_promises(tmp_path):
    rng = np.random.default_rng(1)
    from tfhific.bitstream.checksum import farmhash64

    cases = []
    for size in [*range(1, 70), 127, 128, 129, 191, 192, 193, 1000, 65_537]:
        data = rng.integers(0, 256, size, np.uint8).tobytes()
        cases.append([data.hex(), str(farmhash64(data))])
    (tmp_path / "checksums.json").write_text(json.dumps(cases))
    passes("parts.test.js", TFH_FILES=str(tmp_path))


@pytest.mark.slow
def test_files_of_hific_decode_to_the_python_codecs_latents_and_pixels(tmp_path, photo):
    (tmp_path / "files").mkdir()
    folder = web_files.Folder(tmp_path / "files")
    web_files.fill_hific(folder, photo, tmp_path)
    folder.save()
    passes("files.test.js", TFH_FILES=str(folder.path))


@pytest.mark.slow
def test_kernels_in_webassembly_give_the_same_latents_and_pixels(files, tools, tiny_model_folder):
    command = ["tools/build.js", f"--out={tools / 'site'}", str(tiny_model_folder)]
    done = node(*command, folder=tools)
    assert done.returncode == 0, done.stderr
    kernels = tools / "dist" / "kernels"
    passes("files.test.js", TFH_FILES=str(files), TFH_KERNELS=str(kernels))


@pytest.mark.slow
def test_the_module_fits_its_declared_types(tools):
    done = node("node_modules/typescript/bin/tsc", "--project", ".", folder=tools)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_build_without_a_model_says_what_it_wants(tools, tmp_path):
    done = node("tools/build.js", f"--out={tools / 'none'}", tmp_path, folder=tools)
    assert done.returncode == 1
    assert done.stderr.startswith("error: expected the folder of a published model.")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_decoder_alone_is_not_built_in_without_its_codec(tools):
    folder = web_files.SHIPPED["mini-v2-realistic"]
    done = node("tools/build.js", f"--out={tools / 'none'}", folder, folder=tools)
    assert done.returncode == 1
    assert done.stderr == (
        "error: mini-v2-realistic is a decoder alone: name the folder of mini-v2 too.\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("quality", [1.0, 5.0, 8.0])
def test_kodak_pictures_decode_to_the_python_codecs_pixels(quality, tmp_path, tools):
    paths = sorted(KODAK.glob("*.png"))
    if len(paths) != 24:
        pytest.skip("the 24 Kodak pictures are not at ../shared/data/kodak")
    built = node(
        "tools/build.js", f"--out={tools / 'site'}", *web_files.SHIPPED.values(), folder=tools
    )
    assert built.returncode == 0, built.stderr
    folder = web_files.Folder(tmp_path)
    name, path = min(web_files.SHIPPED.items())
    codec = tfhific.load(path)
    for picture in paths:
        data = codec.compress(read_picture(picture).pixels, quality)
        folder.add(f"{name}-{picture.stem}", data, codec, path)
    folder.save()
    kernels = {"TFH_KERNELS": str(tools / "dist" / "kernels"), "TFH_ENGINES": "simd.wasm"}
    passes("files.test.js", TFH_FILES=str(tmp_path), **kernels)
    shutil.rmtree(tmp_path)  # some 100 MB, which pytest would keep
