"""`bin/decompress.py`: `.tfh` files in, images out, one message for each that fails."""

from __future__ import annotations

import io
import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from tfhific.pictures.images import Picture, read_picture

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bin" / "decompress.py"


@pytest.fixture
def work(tmp_path, monkeypatch, tiny_codec, photo):
    """A working folder with one file, `a.tfh`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tfh").write_bytes(tiny_codec.compress(photo(48, 64), 4))
    return tmp_path


def refused(done, said) -> None:
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: ")
    assert said in done.err


def test_folder_of_good_and_bad_files_in_a_new_process(
    tmp_path, photo, light_codec, stranger_codec, run_script
):
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    coded = [light_codec.encode(photo(41, 57), quality) for quality in (1, 8)]
    changed = bytearray(coded[0].data)
    changed[40] ^= 4
    for name, data in {
        "a.tfh": coded[0].data,
        "b_empty.tfh": b"",
        "c_cut.tfh": coded[0].data[:-9],
        "d_changed.tfh": bytes(changed),
        "deep/e.tfh": coded[1].data,
        "f_other.tfh": stranger_codec.compress(photo(20, 20)),
        "g_picture.tfh": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "h_done.tfh": coded[0].data,
    }.items():
        (source / name).write_bytes(data)
    target.mkdir()
    (target / "h_done.png").write_bytes(b"kept")
    done = run_script("decompress", source, target, "--recursive", "--json")
    assert done.returncode == 1

    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    failed = [facts for facts in lines if "error" in facts]
    assert len(lines) == 8
    names = ["b_empty", "c_cut", "d_changed", "f_other", "g_picture"]
    assert [os.path.basename(facts["input"])[:-4] for facts in failed] == names
    told = done.stderr.decode().splitlines()
    assert told == [f"error: {facts['error']}" for facts in failed]
    for line, name in zip(told, names):
        assert name in line
    assert stranger_codec.fingerprint.hex() in told[3]
    assert "tiny" in told[3]

    assert sorted(os.listdir(target)) == ["a.png", "deep", "h_done.png"]
    assert (target / "h_done.png").read_bytes() == b"kept"
    for name, one in zip(("a", "deep/e"), coded):
        decoded = read_picture(target / f"{name}.png").pixels
        np.testing.assert_array_equal(decoded, light_codec.reconstruct(one))


@pytest.mark.parametrize(("runtime", "others"), [("tensorflow", []), ("litert", ["tensorflow"])])
def test_decoding_loads_nothing_that_only_training_needs(
    runtime, others, photo, tiny_codec, light_codec, run_python, models_folder
):
    if runtime == "litert":
        pytest.importorskip("ai_edge_litert")

    program = (
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "try:\n"
        "    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as exit:\n"
        "    code = exit.code\n"
        "heavy = ('tensorflow_compression', 'tensorflow_probability', 'matplotlib',\n"
        "         'tfhific.backend', 'tfhific.models.layers', 'tfhific.training',\n"
        "         'tfhific.models.mini', 'tfhific.models.hific', 'tfc_port.layers')\n"
        f"heavy += {tuple(others)!r}\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )

    codec = light_codec if runtime == "litert" else tiny_codec
    coded = codec.encode(photo(23, 31), 6)
    environment = {"TFHIFIC_MODELS": str(models_folder)}
    done = run_python(
        "-c",
        program,
        SCRIPT,
        "-",
        *([] if runtime == "litert" else ["--runtime=tensorflow"]),
        stdin=coded.data,
        environment=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.decode().splitlines()[-1] == "[]"
    decoded = np.asarray(Image.open(io.BytesIO(done.stdout)))
    np.testing.assert_array_equal(decoded, codec.reconstruct(coded))


def test_default_output_is_a_png_beside_the_input(work, call_script, tiny_codec):
    done = call_script("decompress", "a.tfh")
    assert (done.code, done.err) == (0, "")
    data = (work / "a.tfh").read_bytes()
    np.testing.assert_array_equal(read_picture("a.png").pixels, tiny_codec.decompress(data))
    assert "a.tfh -> a.png: 64x48" in done.out


def test_model_may_be_named_by_its_folder(work, call_script, tiny_model_folder):
    assert call_script("decompress", "a.tfh", f"--model={tiny_model_folder}").code == 0


@pytest.mark.parametrize("extension", ["png", "webp", "tiff", "bmp"])
def test_extension_chooses_a_lossless_format(extension, work, call_script, tiny_codec):
    assert call_script("decompress", "a.tfh", f"x.{extension}").code == 0
    decoded = tiny_codec.decompress((work / "a.tfh").read_bytes())
    np.testing.assert_array_equal(read_picture(f"x.{extension}").pixels, decoded)


def test_alpha_and_exif_are_written(work, call_script, tiny_codec, photo):
    exif = Image.Exif()
    exif[0x010E] = "description"
    alpha = photo(48, 64, seed=8)[..., 0]
    picture = Picture(photo(48, 64), alpha, exif=b"Exif\0\0" + exif.tobytes()[6:])
    (work / "b.tfh").write_bytes(tiny_codec.compress_picture(picture))
    assert call_script("decompress", "b.tfh").code == 0
    back = read_picture("b.png")
    np.testing.assert_array_equal(back.alpha, alpha)
    assert Image.open("b.png").getexif()[0x010E] == "description"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Expected an input"),
        (["missing.tfh"], "missing.tfh"),
        (["a.tfh", "x.png", "y"], "unexpected argument 'y'"),
        (["a.tfh", "x.docx"], "x.docx"),
        (["a.tfh", "missing/x.png"], "missing"),
        (["a.tfh", "there.png"], "--overwrite"),
        (["a.tfh", "--model=huge"], "'huge'"),
        (["a.tfh", "--max_pixels=50"], "a.tfh"),
        (["there.png"], "there.png"),
        (["empty"], "no files that end in .tfh"),
        ([".", "there.png"], "expected a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_give_one_line_exit_code_1_and_no_output(arguments, said, work, call_script):
    (work / "empty").mkdir()
    (work / "there.png").write_bytes(b"kept")
    before = sorted(os.listdir(work))
    done = call_script("decompress", *arguments)
    refused(done, said)
    assert done.out == ""
    assert sorted(os.listdir(work)) == before
    assert (work / "there.png").read_bytes() == b"kept"
