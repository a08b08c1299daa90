"""Streams that are closed or full, names without letters, no room, missing packages: one line."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import pty
import re
import subprocess
import sys
import types

import pytest
from PIL import Image

from tfhific.commands import streams
from tfhific.errors import TfhificError, TfhificWarning

BIN = pathlib.Path(__file__).resolve().parents[2] / "bin"


@pytest.fixture(scope="module")
def file(tiny_codec, photo, tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("file") / "a.tfh"
    path.write_bytes(tiny_codec.compress(photo(40, 50)))
    return path


@pytest.fixture
def start(clean_shell, models_folder):
    """A function that starts a script, its streams as told, and gives the CompletedProcess."""

    def start(script, *arguments, limit=None, environment=(), **options):
        options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
        shell = options.pop("shell", "")
        command = [sys.executable, str(BIN / f"{script}.py"), *map(str, arguments)]
        # In KiB, as bash counts.
        begin = "" if limit is None else f"ulimit -f {limit}; "
        if begin or shell:
            command = ["bash", "-c", f'{begin}"$@" {shell}', "bash", *command]
        return subprocess.run(
            command,
            env=clean_shell(TFHIFIC_MODELS=models_folder, **dict(environment)),
            timeout=600,
            check=False,
            **options,
        )

    return start


def one_line(stderr: bytes) -> str:
    text = stderr.decode()
    assert text.startswith("error: ")
    assert text.count("\n") == 1, text
    return text


def test_a_reader_that_leaves_early_is_no_failure(start, file):
    reader, writer = os.pipe()
    os.close(reader)
    done = start("info", file, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_lines_that_find_no_room_are_told_and_fail_the_command(start, file):
    with open("/dev/full", "wb") as full:
        done = start("info", file, stdout=full)
    assert done.returncode == 1
    assert "standard output: No space left" in one_line(done.stderr)


def test_closed_streams_are_told_where_they_are_needed_and_no_matter_elsewhere(start, file):
    done = start("info", "-", shell="<&-")
    assert done.returncode == 1
    assert "standard input is closed" in one_line(done.stderr)
    done = start("info", file, shell="<&- >&- 2>&-")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("full", [False, True])
def test_every_file_of_a_folder_is_done_though_its_name_can_not_be_shown(
    full, start, photo, tmp_path
):
    names = ["a.png", "\u65e5\u672c.png", os.fsdecode(b"\xff.png"), "z.png"]
    (tmp_path / "in").mkdir()
    for number, name in enumerate(names):
        Image.fromarray(photo(24, 32, number)).save(tmp_path / "in" / name, "PNG")
    environment = {"PYTHONIOENCODING": "ascii:strict"}
    arguments = ("compress", tmp_path / "in", tmp_path / "out", "--model=tiny")
    if full:
        with open("/dev/full", "wb") as stream:
            done = start(*arguments, stdout=stream, environment=environment)
    else:
        done = start(*arguments, stdout=subprocess.PIPE, environment=environment)
        assert b"\\u65e5\\u672c.png" in done.stdout
    assert done.returncode == int(full), done.stderr
    assert b"4 done, 0 skipped, 0 failed" in done.stderr
    assert b"Traceback" not in done.stderr
    made = [name.replace(".png", ".tfh") for name in names]
    assert sorted(os.listdir(tmp_path / "out")) == sorted(made)


def test_no_file_can_be_written_anywhere_and_a_pipe_still_gets_the_picture(
    start, photo, tiny_codec, tmp_path
):
    pixels = photo(24, 32)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    arguments = ("compress", tmp_path / "a.png", "-", "--model=tiny")
    done = start(*arguments, limit=0, stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert tiny_codec.decompress(done.stdout).shape == pixels.shape


def as_in_a_process(monkeypatch) -> None:
    """Gives standard error the descriptor that it has there; pytest's own has another."""
    stream = types.SimpleNamespace(fileno=lambda: 2, flush=lambda: None)
    monkeypatch.setattr(sys, "stderr", stream)


def test_lines_held_back_need_no_folder_for_temporary_files(monkeypatch, capfd):
    as_in_a_process(monkeypatch)
    monkeypatch.delattr(os, "memfd_create", raising=False)

    def refuse(*_, **__):
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with streams.without_stderr():
        os.write(2, b"shown at once\n")
    assert capfd.readouterr().err == "shown at once\n"


def test_lines_held_back_are_shown_when_the_work_fails_and_dropped_otherwise(monkeypatch, capfd):
    as_in_a_process(monkeypatch)
    with streams.without_stderr():
        os.write(2, b"dropped\n")

    def fail() -> None:
        with streams.without_stderr():
            os.write(2, b"shown\n")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert capfd.readouterr().err == "shown\n"


def test_bytes_are_not_written_to_a_terminal(run_python, clean_shell):
    code = "from tfhific.files.atomic import write_atomically as w; w('-', b'binary')"
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=clean_shell(PYTHONPATH=BIN.parent),
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    assert b"OutputError: cannot write standard output: it is a terminal" in done.stderr


@pytest.mark.slow
def test_a_full_disk_ends_a_training_with_one_line(start, photo, tmp_path):
    Image.fromarray(photo(64, 64)).save(tmp_path / "a.png")
    flags = ["--config=hific-tiny", "--crop=64", "--batch_size=1", "--steps=4", "--save_every=2"]
    flags += [f"--data={tmp_path}", f"--run_dir={tmp_path / 'run'}"]
    done = start("train", "--model=hific", *flags, limit=60)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("error: ")
    assert re.search(r"checkpoint of step 2 can't be written to .+ \(.+There is none\.", last), last


def test_a_run_folder_that_is_a_file_is_told(call_script, tmp_path):
    (tmp_path / "run").write_text("mine")
    done = call_script("train", f"--run_dir={tmp_path / 'run'}", "--data=x", "--steps=1")
    assert done.code == 1
    assert ", a file." in one_line(done.err.encode())
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.parametrize("model", ["mini", "sc", "cgan", "inversion"])
def test_data_that_is_no_folder_is_told(model, call_script, tmp_path):
    (tmp_path / "words.txt").write_text("no picture")
    for data in (tmp_path / "words.txt", tmp_path / "nowhere", tmp_path):
        arguments = [f"--model={model}", f"--data={data}", f"--run_dir={tmp_path / 'run'}"]
        done = call_script("train", *arguments, "--steps=1", "--batch_size=1")
        assert done.code == 1
        one_line(done.err.encode())
        assert not (tmp_path / "run" / "config.json").exists()


def test_a_missing_package_is_told_before_anything_is_measured(call_script, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    gone = {"bjontegaard", "matplotlib"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in gone else find(name, *a)
    )
    for name in gone:  # another test of this process may have loaded it
        monkeypatch.delitem(sys.modules, name, raising=False)
    done = call_script("evaluate", "--data=nowhere", f"--out={tmp_path / 'out'}")
    assert done.code == 1
    assert "pip install bjontegaard matplotlib" in one_line(done.err.encode())
    assert not (tmp_path / "out").exists()
    gone.remove("bjontegaard")
    done = call_script("evaluate", "--data=nowhere", "--out=rows.csv")
    assert "No images in 'nowhere'" in one_line(done.err.encode())


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (("train", "--run_dir=run", "--data=tfds:coco", "--steps=1"), "tensorflow-datasets"),
        (("bench", "--serving", "--server=localhost:1"), "tensorflow-serving-api"),
    ],
)
def test_a_missing_extra_is_told_before_tensorflow_is_started(
    arguments, package, call_script, monkeypatch, tmp_path
):
    from tfhific.commands import common, extras

    def started(*_):
        raise AssertionError("TensorFlow is started first")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "start_tensorflow", started)
    gone = {"tensorflow_datasets", "tensorflow_serving"}
    monkeypatch.setattr(extras, "_is_missing", lambda module: module in gone)
    done = call_script(*arguments)
    assert done.code == 1
    assert f"pip install {package}" in one_line(done.err.encode())
    assert not list(tmp_path.iterdir())


def test_an_extra_that_is_there_is_found_and_not_imported():
    from tfhific.commands import extras

    assert "antigravity" not in sys.modules
    extras.require("This", "evaluation", {"json": "json", "antigravity": "antigravity"})
    assert "antigravity" not in sys.modules
    with pytest.raises(TfhificError, match="This needs no-such, which"):
        extras.require("This", "evaluation", {"json": "json", "no_such.inner": "no-such"})


def test_demo_without_matplotlib_asks_for_a_picture(call_script, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = call_script("demo")
    assert done.code == 1
    assert "Name a picture" in one_line(done.err.encode())


def test_keras_2_that_is_missing_is_told(monkeypatch):
    from tfhific import backend

    monkeypatch.setattr(backend.tf, "__version__", "2.21.0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TfhificError, match=r"pip install 'tf_keras==2\.21\.\*'"):
        backend._choose_keras()


def test_a_bad_folder_among_the_models_is_passed_over_with_a_word(
    file, tiny_codec, models_folder, tmp_path, monkeypatch
):
    import tfhific

    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model.safetensors").write_bytes(b"\x10" + bytes(40))
    places = [str(tmp_path / "nowhere"), str(tmp_path), str(models_folder)]
    monkeypatch.setenv("TFHIFIC_MODELS", os.pathsep.join(places))
    with pytest.warns(TfhificWarning) as said:
        codec = tfhific.load_for(file.read_bytes())
    assert codec.fingerprint == tiny_codec.fingerprint
    assert len({str(each.message) for each in said}) == 2
    assert all(str(each.message).endswith("passed over.") for each in said)


def test_keras_networks_keep_their_variables_in_a_program_of_absl(run_python):
    program = (
        "from absl import app\n"
        "def main(argv):\n"
        "    from tfhific import systems\n"
        "    from tfhific.models.hific import HiFiC\n"
        "    model = HiFiC(systems.configuration('hific', {}, 'hific-tiny'))\n"
        "    print(model.count_params())\n"
        "app.run(main)\n"
    )
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert int(done.stdout) > 1000
