"""Threads that commands start beside those of the networks."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

_COMMAND = """
import os
from tfhific.commands import launcher

def multiply(argv):
    import numpy as np
    assert (np.ones([500, 500]) @ np.ones([500, 500])).sum() == 500**3
    print(len(os.listdir("/proc/self/task")))
    return 0

launcher.launch(lambda: None, multiply, "Multiplies.")
"""


def _threads(**environment: str) -> int:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "GOTO_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        timeout=120,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"), reason="threads are listed by Linux alone"
)
def test_commands_start_no_threads_for_numpys_products_unless_asked():
    assert _threads() == 1
    asked = _threads(OPENBLAS_NUM_THREADS="2")
    if asked == 1:
        pytest.skip("this NumPy multiplies by one thread whatever OPENBLAS_NUM_THREADS says")
    assert asked == 2
