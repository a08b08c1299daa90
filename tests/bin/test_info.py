"""`bin/info.py` says what a file holds, without TensorFlow and without decoding."""

from __future__ import annotations

import json
import pathlib

import pytest

from tfhific.bitstream import container
from tfhific.pictures.images import Picture

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bin" / "info.py"


@pytest.fixture
def file(tiny_codec, photo, tmp_path):
    alpha = photo(30, 50)[..., 0]
    data = tiny_codec.compress_picture(Picture(photo(30, 50), alpha, exif=b"Exif\0\0abc"), 2.5)
    path = tmp_path / "a.tfh"
    path.write_bytes(data)
    return path


def test_facts_are_those_of_the_file(file, tiny_codec, call_script):
    done = call_script("info", file, "--json")
    assert (done.code, done.err) == (0, "")
    facts = json.loads(done.out)
    contents = container.unpack(file.read_bytes())
    size = file.stat().st_size
    expected = {
        "input": str(file),
        "format_version": contents.version,
        "model": "tiny",
        "fingerprint": tiny_codec.fingerprint.hex(),
        "width": 50,
        "height": 30,
        "quality": 2.5,
        "bytes": size,
        "bpp": round(8 * size / 1500, 4),
        "latents_bytes": len(contents.y),
        "hyperlatents_bytes": len(contents.z),
        "alpha_bytes": len(contents.alpha),
        "icc_bytes": 0,
        "exif_bytes": 9,
    }
    assert {name: facts[name] for name in expected} == expected


def test_lines_name_every_fact(file, call_script):
    facts = json.loads(call_script("info", file, "--json").out)
    done = call_script("info", file)
    assert done.code == 0
    lines = done.out.splitlines()
    for name, value in facts.items():
        if name != "input":
            assert [name.replace("_", " "), str(value)] in [
                line.rsplit(maxsplit=1) for line in [" ".join(line.split()) for line in lines]
            ]


def test_model_that_is_not_here_is_no_error(stranger_codec, photo, tmp_path, call_script):
    path = tmp_path / "b.tfh"
    path.write_bytes(stranger_codec.compress(photo(16, 16)))
    done = call_script("info", path)
    assert done.code == 0
    assert "not among the known models" in done.out
    assert json.loads(call_script("info", path, "--json").out)["model"] is None


@pytest.mark.parametrize("data", [None, b"", b"TFH", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_other_files_give_one_line_and_exit_code_1(data, tmp_path, call_script):
    path = tmp_path / "c.tfh"
    if data is not None:
        path.write_bytes(data)
    done = call_script("info", path)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"error: {path}")


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_one_argument_is_expected(arguments, call_script):
    done = call_script("info", *arguments)
    assert done.code == 1
    assert done.err.count("\n") == 1


def test_script_neither_needs_nor_loads_tensorflow(file, run_python, models_folder):
    program = (
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "try:\n"
        "    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as exit:\n"
        "    sys.exit(exit.code or 'tensorflow' in sys.modules)\n"
    )

    environment = {"TFHIFIC_MODELS": str(models_folder)}
    done = run_python("-c", program, SCRIPT, file, environment=environment)
    assert done.returncode == 0, done.stderr
    assert b"tiny" in done.stdout
