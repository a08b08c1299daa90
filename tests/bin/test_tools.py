"""Programs in `tools/` start from any folder, in the environment that `bin/demo` makes."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from PIL import Image

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


def run(folder: pathlib.Path, script: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(TOOLS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=folder)


# A hook of mkdocs is no program.
PROGRAMS = sorted({path.name for path in TOOLS.glob("*.py")} - {"docs_site.py"})


@pytest.mark.parametrize("script", PROGRAMS)
def test_each_says_what_it_is_for(script, tmp_path):
    if script == "record_tfc_golden.py":
        pytest.importorskip("tensorflow_compression", reason="records what it computes")
    done = run(tmp_path, script, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout
    assert f"`{script}`" in (TOOLS / "README.md").read_text()


@pytest.mark.slow
def test_efforts_are_measured_and_a_missing_picture_is_told(tmp_path, photo):
    picture = tmp_path / "picture.png"
    Image.fromarray(photo(64, 80)).save(picture)
    options = ("--efforts=1,2", "--qualities=3,5", "--out=table.csv")
    done = run(tmp_path, "effort_table.py", picture, *options)
    assert done.returncode == 0, done.stderr
    assert "| 2 | 1 | " in done.stdout
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 2
    # What the file has is not measured again.
    again = run(tmp_path, "effort_table.py", picture, *options)
    assert again.stdout == done.stdout
    assert (tmp_path / "table.csv").read_text().splitlines() == rows
    done = run(tmp_path, "effort_table.py", "absent.png", *options)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
