"""`bin/_environment.sh` makes environments anew, and removes none that it did not make."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

_PYTHON = """#!/bin/sh
# Does what the script asks of Python, without packages.
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") test ! -e "$(dirname "$0")/../../no_network" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with the script, requirements, and a Python that makes environments of nothing."""
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "_environment.sh", tmp_path / "bin")
    (tmp_path / "requirements.txt").write_text("wanted==2\n")
    (tmp_path / "python").write_text(_PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


@pytest.fixture
def prepare(checkout, clean_shell):
    """A function that prepares the default stack there, and gives the CompletedProcess."""

    def run() -> subprocess.CompletedProcess:
        script = (
            'set -euo pipefail; source bin/_environment.sh; prepare_stack default; echo "$python"'
        )
        return subprocess.run(
            ["bash", "-c", script],
            cwd=checkout,
            env=clean_shell(PYTHON=checkout / "python"),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def test_an_environment_is_made_once_and_anew_when_the_requirements_change(checkout, prepare):
    made = prepare()
    assert (made.returncode, made.stdout) == (0, f"{checkout}/.venv/bin/python\n"), made.stderr
    (checkout / ".venv/kept").write_text("")
    assert prepare().stderr == ""
    assert (checkout / ".venv/kept").exists()
    (checkout / "requirements.txt").write_text("wanted==3\n")
    assert "Setting up" in prepare().stderr
    assert not (checkout / ".venv/kept").exists()


def test_one_whose_packages_could_not_be_installed_is_made_anew(checkout, prepare):
    (checkout / "no_network").write_text("")
    assert prepare().returncode == 1
    (checkout / "no_network").unlink()
    assert prepare().returncode == 0


@pytest.mark.parametrize("complete", ["", "of older requirements\n"])
def test_a_link_to_an_environment_is_neither_followed_nor_replaced(complete, checkout, prepare):
    theirs = checkout / "theirs"
    (theirs / "bin").mkdir(parents=True)
    (theirs / "complete").write_text(complete)
    (checkout / ".venv").symlink_to(theirs)
    done = prepare()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"is a link to {theirs}" in done.stderr
    assert f"rm {checkout}/.venv" in done.stderr
    assert (checkout / ".venv").is_symlink()
    assert (theirs / "complete").read_text() == complete


def test_a_link_to_an_environment_that_fits_is_used(checkout, prepare):
    prepare()
    (checkout / ".venv").rename(checkout / "elsewhere")
    (checkout / ".venv").symlink_to("elsewhere")
    done = prepare()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_was_made_by_someone_else_is_left_alone(checkout, prepare):
    (checkout / ".venv").mkdir()
    (checkout / ".venv/mine").write_text("")
    done = prepare()
    assert done.returncode == 1
    assert "Move it away" in done.stderr
    assert (checkout / ".venv/mine").exists()
