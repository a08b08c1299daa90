"""The clients: built, and asked to do what the command line does, and to fail well."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.serving import pictures
from tfhific.codec.images import encode_png, read_picture

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "clients"
LATEST = ROOT / ".venv-latest" / "bin" / "python"


def run(*command, **environment) -> subprocess.CompletedProcess:
    # Not what TensorFlow has set in this process.
    own = {k: v for k, v in os.environ.items() if not k.startswith(("TF2_", "TF_"))}
    variables = {**own, "PYTHON": sys.executable, **environment}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        env=variables,
        timeout=900,
        check=False,
    )


def build(language: str, folder: pathlib.Path, needed: tuple[str, ...], **environment):
    """Builds a client, and gives its two programs; skips where a tool is absent."""
    absent = [tool for tool in needed if shutil.which(tool) is None]
    if absent:
        pytest.skip(f"needs {' and '.join(absent)}, which is not installed")
    done = run(CLIENTS / language / "build.sh", folder, **environment)
    assert done.returncode == 0, done.stderr.decode()
    return [pathlib.Path(path) for path in done.stdout.decode().split()]


@pytest.fixture(scope="session")
def c_client(tmp_path_factory):
    return build("c", tmp_path_factory.mktemp("c"), ("gcc",))


@pytest.fixture(scope="session")
def go_client(tmp_path_factory):
    return build("go", tmp_path_factory.mktemp("go"), ("go", "gcc"))


@pytest.fixture(scope="session")
def node_client(tmp_path_factory):
    if shutil.which("npm") and run("npm", "ping").returncode:
        pytest.skip("npm has no registry to install tfjs-node from")
    return build("node", tmp_path_factory.mktemp("node"), ("node", "npm", "g++"))


@pytest.fixture
def files(tmp_path, photo, tiny_codec):
    """An image with alpha and EXIF, and a file of the command line, in a folder."""
    (tmp_path / "in.png").write_bytes(pictures.readable()["png-alpha-exif"])
    (tmp_path / "in.tfh").write_bytes(tiny_codec.compress(photo(90, 120)))
    (tmp_path / "bad.tfh").write_bytes(tiny_codec.compress(photo(90, 120))[:-1])
    return tmp_path


def check_both_ways(programs, files, export_folder, tiny_codec):
    """Command line -> client -> the same pixels, and client -> command line -> the same file."""
    compress, decompress = programs
    model = f"--model={export_folder}"
    done = run(decompress, model, files / "in.tfh", files / "out.png")
    assert done.returncode == 0, done.stderr.decode()
    expected = tiny_codec.decompress((files / "in.tfh").read_bytes())
    assert np.array_equal(np.asarray(Image.open(files / "out.png")), expected)
    done = run(compress, model, "--quality=3.5", files / "in.png", files / "out.tfh")
    assert done.returncode == 0, done.stderr.decode()
    picture = read_picture(files / "in.png")
    file = (files / "out.tfh").read_bytes()
    assert file == tiny_codec.compress_picture(picture, 3.5)
    assert read_picture(encode_png(tiny_codec.decompress_picture(file))).alpha is not None


def check_errors(programs, files, export_folder):
    """Whatever is wrong is one line on standard error, an exit code, and no output."""
    compress, decompress = programs
    before = sorted(path.name for path in files.iterdir())
    model = f"--model={export_folder}"
    cases = [
        ([decompress, model, files / "bad.tfh", files / "x"], "checksum"),
        ([decompress, model, files / "none.tfh", files / "x"], "none.tfh"),
        ([decompress, f"--model={files}", files / "in.tfh", files / "x"], "SavedModel"),
        ([compress, model, files / "in.tfh", files / "x"], "compressed already"),
        ([compress, model, "--quality=9", files / "in.png", files / "x"], "from 1 to 8"),
        ([decompress, model, files / "in.tfh", files / "no" / "folder" / "x"], "folder"),
    ]
    for command, words in cases:
        done = run(*command)
        lines = done.stderr.decode().strip().splitlines()
        assert done.returncode == 1, command
        # From 2.15 on TensorFlow prints some notices before it can be told not to.
        assert lines[-1].startswith("error: "), lines
        assert words in lines[-1], lines
    assert run(compress, files / "in.png").returncode == 2
    assert sorted(path.name for path in files.iterdir()) == before


def test_the_c_client_and_the_command_line_read_each_other(
    c_client, files, export_folder, tiny_codec
):
    check_both_ways(c_client, files, export_folder, tiny_codec)


def test_the_c_client_says_what_is_wrong(c_client, files, export_folder):
    check_errors(c_client, files, export_folder)


def test_the_c_client_loads_no_op_library(c_client):
    linked = run("ldd", c_client[0]).stdout.decode()
    assert "libtensorflow_cc.so.2" in linked
    assert "compression" not in linked


@pytest.mark.slow
def test_the_c_client_of_the_other_stack_reads_this_stacks_export(
    tmp_path, files, export_folder, tiny_codec
):
    if not LATEST.exists() or pathlib.Path(sys.executable).parent == LATEST.parent:
        pytest.skip("needs both environments, run from the default one")
    programs = build("c", tmp_path / "c", ("gcc",), PYTHON=str(LATEST))
    done = run(programs[1], f"--model={export_folder}", files / "in.tfh", files / "out.png")
    assert done.returncode == 0, done.stderr.decode()
    # Another TensorFlow: pixels within 1 of 255.
    expected = tiny_codec.decompress((files / "in.tfh").read_bytes()).astype(int)
    assert np.abs(np.asarray(Image.open(files / "out.png")) - expected).max() <= 1


@pytest.mark.slow
def test_the_go_client_and_the_command_line_read_each_other(
    go_client, files, export_folder, tiny_codec
):
    check_both_ways(go_client, files, export_folder, tiny_codec)


@pytest.mark.slow
def test_the_go_client_says_what_is_wrong(go_client, files, export_folder):
    check_errors(go_client, files, export_folder)


@pytest.mark.slow
def test_the_node_client_and_the_command_line_read_each_other(
    node_client, files, export_folder, tiny_codec
):
    check_both_ways(node_client, files, export_folder, tiny_codec)


@pytest.mark.slow
def test_the_node_client_says_what_is_wrong(node_client, files, export_folder):
    check_errors(node_client, files, export_folder)


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_the_python_client_and_the_command_line_read_each_other(
    door, client, double, files, tiny_codec, capsys
):
    address = double.rest_address if door == "rest" else double.grpc_address
    if address is None:
        pytest.skip("needs grpcio and tensorflow-serving-api")
    options = [f"--server={address}", "--model_name=tiny"]
    paths = [str(files / name) for name in ("in.tfh", "out.png", "in.png", "out.tfh", "bad.tfh")]
    assert client.main(False, [*options, paths[0], paths[1]]) == 0
    expected = tiny_codec.decompress((files / "in.tfh").read_bytes())
    assert np.array_equal(np.asarray(Image.open(paths[1])), expected)
    assert client.main(True, [*options, "--quality=3.5", paths[2], paths[3]]) == 0
    picture = read_picture(files / "in.png")
    assert (files / "out.tfh").read_bytes() == tiny_codec.compress_picture(picture, 3.5)
    capsys.readouterr()
    assert client.main(False, [*options, paths[4], str(files / "x")]) == 1
    assert "checksum" in capsys.readouterr().err
    wrong = [options[0], "--model_name=other", paths[0], str(files / "x")]
    assert client.main(False, wrong) == 1
    assert "other" in capsys.readouterr().err
    assert not (files / "x").exists()


def test_the_python_client_says_when_nobody_listens(client, files, capsys):
    arguments = ["--server=http://localhost:9", str(files / "in.tfh"), str(files / "x")]
    assert client.main(False, arguments) == 1
    assert "refused" in capsys.readouterr().err
