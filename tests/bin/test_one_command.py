"""The command `tfhific`: what it lists, what it starts, and that it starts fast."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import pytest
from PIL import Image

from tfhific.commands.table import COMMANDS, in_this_way
from tfhific.version import __version__

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def tfhific(run_python, models_folder):
    """A function that runs `python -m tfhific` in a new process; the tiny model is known to it."""

    def run(*arguments, **options) -> subprocess.CompletedProcess:
        environment = {"TFHIFIC_MODELS": str(models_folder)}
        return run_python("-m", "tfhific", *arguments, environment=environment, **options)

    return run


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_commands_are_listed_with_a_line_each(arguments, tfhific):
    done = tfhific(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    listed = dict(re.findall(r"^  ([a-z-]+) {2,}(\S.*)$", done.stdout.decode(), re.MULTILINE))
    assert listed == {name: command.summary for name, command in COMMANDS.items()}


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_version_is_that_of_the_package(arguments, tfhific):
    import tfhific as package

    done = tfhific(*arguments)
    assert (done.returncode, done.stdout.decode()) == (0, f"tfhific {__version__}\n")
    assert package.__version__ == __version__


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_its_flags_and_calls_itself_as_it_was_called(name, tfhific, run_python):
    done = tfhific(name, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert f"tfhific {name}" in text
    assert "Flags:\n  --" in text
    assert "Default: " in text
    assert ".py" not in text
    launched = run_python(ROOT / "bin" / f"{COMMANDS[name].script}.py", "--help")
    assert (launched.returncode, launched.stderr) == (0, b"")
    assert in_this_way(launched.stdout.decode(), f"tfhific {name}", short=True) == text


def test_help_before_a_command_is_its_help(tfhific):
    asked = tfhific("help", "make-shards")
    assert asked.returncode == 0
    assert asked.stdout == tfhific("make-shards", "--help").stdout


@pytest.mark.parametrize(
    ("word", "near"),
    [("comprss", "compress or decompress"), ("make_shards", "make-shards"), ("photo.jpg", None)],
)
def test_a_word_that_is_no_command_is_told_with_those_like_it(word, near, tfhific):
    done = tfhific(word)
    assert (done.returncode, done.stdout) == (1, b"")
    said = done.stderr.decode()
    assert re.fullmatch(rf"error: [^\n]*'{word}'[^\n]*See tfhific --help\.\n", said)
    assert (f"Did you mean {near}?" in said) if near else ("Did you mean" not in said)


def test_lost_lines_of_a_listing_fail_and_a_reader_that_left_does_not(run_python):
    for target, code in (("/dev/full", 1), (">(:)", 0)):
        line = f'"{sys.executable}" -m tfhific --help > {target}'
        done = subprocess.run(
            ["bash", "-c", line], cwd=ROOT, capture_output=True, timeout=300, check=False
        )
        assert done.returncode == code, (target, done.stderr)
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["info"]])
def test_tensorflow_is_not_loaded_for_what_needs_none(
    arguments, run_python, tiny_codec, photo, tmp_path
):
    if arguments == ["info"]:
        (tmp_path / "a.tfh").write_bytes(tiny_codec.compress(photo(16, 16)))
        arguments = ["info", str(tmp_path / "a.tfh")]
    code = (
        "import sys\nfrom tfhific.commands.main import run\n"
        f"sys.argv = ['tfhific', *{arguments!r}]\n"
        "try:\n    run()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "for name in ('tensorflow', 'tf_keras', 'keras'):\n"
        "    assert name not in sys.modules, name\n"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr.decode()


def test_many_pictures_go_through_and_back_in_new_processes(tfhific, photo, light_codec, tmp_path):
    for number, name in enumerate(("a.png", "b.png")):
        Image.fromarray(photo(24, 32, number)).save(tmp_path / name)
    pictures = sorted(tmp_path.glob("*.png"))
    packed = tmp_path / "packed"
    done = tfhific("compress", *pictures, "-o", packed, "--model=tiny", "--quality=75%", "--json")
    assert done.returncode == 0, done.stderr
    facts = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [each["quality"] for each in facts] == [6.25, 6.25]
    assert (packed / "b.tfh").read_bytes() == light_codec.compress(photo(24, 32, 1), 6.25)
    back = tmp_path / "back"
    done = tfhific("decompress", *sorted(packed.iterdir()), f"--out={back}/")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in back.iterdir()) == ["a.png", "b.png"]


def test_advice_names_commands_as_they_were_called():
    text = "see bin/make_shards.py, export.py and mine/export.py"
    assert in_this_way(text, "bin/train.py", short=True) == text
    assert (
        in_this_way(text, "/usr/bin/tfhific-train", short=True)
        == "see tfhific-make-shards, tfhific-export and mine/export.py"
    )
    assert (
        in_this_way(text, "tfhific train")
        == "see tfhific make-shards, export.py and mine/export.py"
    )
