"""Programs that import tensorflow_compression, in the styles of published ones, run unchanged."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_trains_and_its_strings_decode(program, tmp_path):
    if program == "estimator" and not hasattr(tf, "estimator"):
        pytest.skip("this TensorFlow has no Estimators")
    environment = {key: v for key, v in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    environment["PYTHONPATH"] = str(HERE.parents[1])
    (tmp_path / "run").mkdir()
    command = [sys.executable, "-m", "tfc_port", "run", HERE / "programs" / f"{program}.py", "run"]
    run = subprocess.run(
        [str(word) for word in command],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-6000:]
    assert run.stdout.splitlines()[-1].startswith("decoded")
