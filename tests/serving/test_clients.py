"""The clients: built, and asked to do what the command line does, and to fail well."""

from __future__ import annotations

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from tests.serving import pictures
from tfhific.pictures.images import encode_png, read_picture

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


def check_errors(programs, files, export_folder, every=True):
    """Whatever is wrong is one line on standard error, an exit code, and no output.

    Without `every`, of what the model itself refuses, for which it is loaded each time, one case.
    """
    compress, decompress = programs
    before = sorted(path.name for path in files.iterdir())
    model = f"--model={export_folder}"
    cases = [
        ([decompress, model, files / "bad.tfh", files / "x"], "checksum"),
        ([decompress, model, files / "none.tfh", files / "x"], "none.tfh"),
        ([decompress, f"--model={files}", files / "in.tfh", files / "x"], "SavedModel"),
        ([decompress, model, files / "in.tfh", files / "no" / "folder" / "x"], "folder"),
    ]
    refused_by_the_model = [
        ([compress, model, files / "in.tfh", files / "x"], "compressed already"),
        ([compress, model, "--quality=9", files / "in.png", files / "x"], "from 1 to 8"),
        ([compress, model, "--quality=0", files / "in.png", files / "x"], "from 1 to 8"),
    ]
    if every:
        cases += refused_by_the_model
    for command, words in cases:
        done = run(*command)
        lines = done.stderr.decode().strip().splitlines()
        assert done.returncode == 1, command
        # From 2.15 on TensorFlow prints some notices before it can be told not to.
        assert lines[-1].startswith("error: "), lines
        assert words in lines[-1], lines
    assert run(compress, files / "in.png").returncode == 2
    for quality in ("", "nan", "inf", "high"):
        command = [compress, model, f"--quality={quality}", files / "in.png", files / "x"]
        assert run(*command).returncode == 2, quality
    assert sorted(path.name for path in files.iterdir()) == before


def check_outputs(programs, files, export_folder):
    """No input is written over, no other file unasked; devices and pipes are only written to."""
    compress, decompress = programs
    model = f"--model={export_folder}"
    source, original = files / "in.tfh", (files / "in.tfh").read_bytes()
    (files / "there").write_bytes(b"kept")
    (files / "link").symlink_to("in.tfh")
    (files / "there link").symlink_to("there")
    (files / "nowhere").symlink_to(files / "no" / "folder")
    os.link(source, files / "other")
    (files / "folder").mkdir()
    before = sorted(path.name for path in files.iterdir())
    cases = [
        ([decompress, "--overwrite", "--force_name", source, source], "is the input itself"),
        ([decompress, "--overwrite", source, files / "link"], "is the input itself"),
        ([decompress, "--overwrite", source, files / "other"], "is the input itself"),
        ([decompress, "--force_name", source, f"{files}/folder/../in.tfh"], "is the input itself"),
        ([decompress, source, files / "there"], "--overwrite replaces it"),
        ([decompress, source, files / "there link"], "--overwrite replaces it"),
        ([decompress, "--overwrite", source, files / "folder"], "received a folder"),
        ([decompress, source, files / "nowhere"], "nowhere"),
        ([decompress, source, files / "x.jpg"], "ends in .png"),
        ([decompress, source, files / "x.tfh"], "ends in .png"),
        ([compress, files / "in.png", files / "x.png"], "ends in .tfh"),
        ([decompress, files / "folder", files / "x"], "folder"),
    ]
    for (program, *arguments), words in cases:
        done = run(program, model, *arguments)
        lines = done.stderr.decode().strip().splitlines()
        assert (done.returncode, lines[-1][:7]) == (1, "error: "), arguments
        assert words in lines[-1], lines
    assert sorted(path.name for path in files.iterdir()) == before
    assert source.read_bytes() == original
    assert (files / "there").read_bytes() == b"kept"
    # What a link points to is replaced when that is asked for; options may stand behind the paths.
    done = run(decompress, model, source, files / "there link", "--overwrite")
    assert done.returncode == 0, done.stderr
    assert (files / "there link").is_symlink()
    png = (files / "there").read_bytes()
    assert png.startswith(b"\x89PNG")
    # A device stays one; a pipe in and a pipe out carry the same picture.
    assert run(decompress, model, source, "/dev/null").returncode == 0
    assert not pathlib.Path("/dev/null").is_file()
    done = subprocess.run(
        [str(decompress), model, "/dev/stdin", "/dev/stdout"],
        input=original,
        capture_output=True,
        timeout=900,
        check=False,
    )
    assert done.stdout == png, done.stderr
    assert sorted(path.name for path in files.iterdir()) == before


def test_the_c_client_and_the_command_line_read_each_other(
    c_client, files, export_folder, tiny_codec
):
    check_both_ways(c_client, files, export_folder, tiny_codec)


def test_the_c_client_says_what_is_wrong(c_client, files, export_folder):
    check_errors(c_client, files, export_folder, every=False)


@pytest.mark.slow
def test_the_c_client_says_all_that_is_wrong_and_writes_over_nothing_unasked(
    c_client, files, export_folder
):
    check_errors(c_client, files, export_folder)
    check_outputs(c_client, files, export_folder)


class Message(ctypes.Structure):
    """`tfh_error` of tfh.h."""

    _fields_ = (("text", ctypes.c_char * 1024),)


@pytest.fixture(scope="module")
def c_files(tmp_path_factory):
    """Calls of the C client's functions on files, which need no TensorFlow: code and message."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, which is not installed")
    library = tmp_path_factory.mktemp("c_files") / "files.so"
    command = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1"]
    done = run(*command, "-shared", "-fPIC", "-o", library, CLIENTS / "c" / "tfh_files.c")
    assert done.returncode == 0, done.stderr.decode()
    loaded = ctypes.CDLL(str(library))

    def call(name: str, *arguments) -> tuple[int, str]:
        message = Message()
        encoded = [os.fsencode(a) if isinstance(a, (str, os.PathLike)) else a for a in arguments]
        code = getattr(loaded, name)(*encoded, ctypes.byref(message))
        return code, message.text.decode()

    return call


def test_the_c_client_takes_no_output_that_is_an_input_or_there_already(c_files, tmp_path):
    source = tmp_path / "in.tfh"
    source.write_bytes(b"data")
    (tmp_path / "there").write_bytes(b"kept")
    (tmp_path / "link").symlink_to("in.tfh")
    (tmp_path / "nowhere").symlink_to("no/folder")
    os.link(source, tmp_path / "other")
    (tmp_path / "folder").mkdir()

    def check(name, overwrite=0, force_name=0) -> str:
        arguments = (source, f"{tmp_path}/{name}", ".png", overwrite, force_name)
        code, message = c_files("tfh_check_output", *arguments)
        assert code == (-1 if message else 0)
        return message

    for name in ("in.tfh", "link", "other", "folder/../in.tfh"):
        assert "is the input itself" in check(name, overwrite=1, force_name=1)
    assert "--overwrite replaces it" in check("there")
    assert check("there", overwrite=1) == ""
    assert "received a folder" in check("folder", overwrite=1)
    assert "is a link to nothing" in check("nowhere", overwrite=1)
    assert "make it first" in check("no/folder")
    for name in ("new.jpg", "new.TFH", "new.jpeg"):
        assert "ends in .png" in check(name)
        assert check(name, force_name=1) == ""
    for name in ("new", "new.PNG", "new.jpg.old", "folder/new.png"):
        assert check(name) == ""


def test_the_c_client_writes_whole_files_and_keeps_those_it_may_not_replace(c_files, tmp_path):
    def write(path, data, overwrite=0) -> str:
        code, message = c_files("tfh_write_file", path, data, ctypes.c_size_t(len(data)), overwrite)
        assert code == (-1 if message else 0)
        return message

    path = tmp_path / "a"
    assert write(path, b"one" * 100_000) == ""
    assert path.read_bytes() == b"one" * 100_000
    assert "File exists" in write(path, b"two")
    assert path.read_bytes() == b"one" * 100_000
    (tmp_path / "link").symlink_to("a")
    assert write(tmp_path / "link", b"two", overwrite=1) == ""
    assert (tmp_path / "link").is_symlink()
    assert path.read_bytes() == b"two"
    assert write("/dev/null", b"two") == ""
    assert not pathlib.Path("/dev/null").is_file()
    assert "No space left" in write("/dev/full", b"two", overwrite=1)
    assert "No such file" in write(tmp_path / "no" / "folder", b"two")
    before = os.umask(0o077)
    try:
        assert write(tmp_path / "own", b"") == ""
    finally:
        os.umask(before)
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "link", "own"]


def test_the_c_client_reads_files_and_pipes_whole(c_files, tmp_path):
    def read(path) -> bytes | str:
        data, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        code, message = c_files("tfh_read_file", path, ctypes.byref(data), ctypes.byref(size))
        return message if code else data[: size.value]

    def feed(end: int, content: bytes) -> None:
        with open(end, "wb") as pipe:
            pipe.write(content)

    for size in (0, 1, 65536, 200_000):
        content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        (tmp_path / "a").write_bytes(content)
        assert read(tmp_path / "a") == content
        ends = os.pipe()
        writer = threading.Thread(target=feed, args=(ends[1], content))
        writer.start()
        assert read(f"/dev/fd/{ends[0]}") == content
        writer.join()
        os.close(ends[0])
    assert "Is a directory" in read(tmp_path)
    assert "No such file" in read(tmp_path / "none")


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
def test_the_go_client_writes_over_nothing_unasked(go_client, files, export_folder):
    check_outputs(go_client, files, export_folder)


@pytest.mark.slow
def test_the_go_package_can_be_closed_while_it_works_and_takes_zero_for_a_quality(
    go_client, files, export_folder
):
    done = run(
        CLIENTS / "go" / "test.sh", TFH_MODEL=str(export_folder), TFH_FILE=str(files / "in.tfh")
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert b"ok" in done.stdout


@pytest.mark.slow
def test_the_node_client_writes_over_nothing_unasked(node_client, files, export_folder):
    check_outputs(node_client, files, export_folder)


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
    # The first requests wait for the graph's set-up, long where other tests run beside it.
    options = [f"--server={address}", "--model_name=tiny", "--timeout=600"]
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
