"""The port installed by itself, with what it requires: needs a package registry."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "migrate_from_tfc.md").read_text()


def _example() -> str:
    """The page's program to try."""
    return re.search(r"A program to try:\n+```python\n(.*?)```", PAGE, re.DOTALL).group(1)


@pytest.mark.slow
def test_the_migration_pages_program_runs_where_the_port_alone_was_installed(tmp_path):
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def run(*command, **more):
        return subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    assert run(sys.executable, "-m", "venv", "alone").returncode == 0
    python = tmp_path / "alone" / "bin" / "python"
    # As the page has it: the latest, or an older TensorFlow by its name.
    extra = "[tf2-14]" if sys.version_info < (3, 12) else ""
    done = run(python, "-m", "pip", "install", "--quiet", f"{ROOT / 'tfc_port'}{extra}")
    if "No matching distribution" in done.stderr or "Could not fetch" in done.stderr:
        pytest.skip(f"no package registry answers: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    (tmp_path / "program.py").write_text(_example())
    legacy = {} if extra else {"TF_USE_LEGACY_KERAS": "1"}
    done = run(python, "program.py", **legacy)
    assert done.returncode == 0, done.stderr
    size, values = done.stdout.strip().split(" ", 1)
    assert int(size) > 0
    assert values == "[[0.0, 3.0], [-2.0, 1.0]]"
    done = run(python, "-c", "import importlib.util as u; print(u.find_spec('tfhific'))")
    assert done.stdout.strip() == "None"
