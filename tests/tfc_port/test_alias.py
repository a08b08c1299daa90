"""Programs that import tensorflow_compression find the port, with nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM_2 = """
import sys
import tensorflow_compression as tfc
import tensorflow_compression.python.ops.math_ops
from tensorflow_compression.python.ops import gen_ops, math_ops, range_coding_ops, round_ops
from tensorflow_compression.python.layers import gdn, initializers, parameters, signal_conv
from tensorflow_compression.python.layers import soft_round
from tensorflow_compression.python.ops import soft_round_ops
from tensorflow_compression.python.entropy_models.continuous_batched import (
    ContinuousBatchedEntropyModel,
)
from tensorflow_compression.python.entropy_models import continuous_base, power_law
from tensorflow_compression.python.distributions import deep_factorized, helpers, uniform_noise
from tensorflow_compression.python.util.packed_tensors import PackedTensors
import tfc_port
assert tfc.GDN is gdn.GDN is tfc.layers.GDN is tfc_port.GDN
assert tfc.python.ops.math_ops.lower_bound is math_ops.lower_bound is tfc_port.lower_bound
assert soft_round.SoftRound is tfc.SoftRound and soft_round_ops.soft_round is tfc.soft_round
assert gen_ops.run_length_encode is tfc.run_length_encode
assert range_coding_ops.range_encode is tfc_port.range_encode
assert ContinuousBatchedEntropyModel is tfc.ContinuousBatchedEntropyModel
assert issubclass(ContinuousBatchedEntropyModel, continuous_base.ContinuousEntropyModelBase)
assert deep_factorized.DeepFactorized is tfc.DeepFactorized and helpers.lower_tail
assert PackedTensors is tfc.PackedTensors and sys.argv[1:] == ["--flag", "value"]
assert not hasattr(tfc, "no_such_name")
try:
    import tensorflow_compression.python.ops.no_such_module
except ModuleNotFoundError as error:
    assert "tfc_port" in str(error)
print("it ran as", __name__)
"""

PROGRAM_1 = """
import tensorflow_compression as tfc
from tensorflow_compression.python.layers import entropy_models, parameterizers
import tfc_port.v1
assert tfc.GDN is tfc_port.v1.GDN
assert tfc.EntropyBottleneck is entropy_models.EntropyBottleneck
assert tfc.RDFTParameterizer is parameterizers.RDFTParameterizer
print("it ran as", __name__)
"""


def _run(*arguments, cwd):
    environment = {
        key: value for key, value in os.environ.items() if key not in ("TF_USE_LEGACY_KERAS",)
    }
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment["PYTHONPATH"] = root
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("program", "api"), [(PROGRAM_2, 2), (PROGRAM_1, 1)])
def test_programs_run_unchanged(program, api, tmp_path):
    (tmp_path / "program.py").write_text(program)
    run = _run("-m", "tfc_port", "run", "program.py", "--flag", "value", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "it ran as __main__\n"
    assert ("TFC 1's API" in run.stderr) == (api == 1)


def test_importing_the_alias_is_enough(tmp_path):
    code = (
        "import tfc_port.as_tfc; import tensorflow_compression as tfc;"
        "import sys; assert 'tensorflow' not in sys.modules;"
        "import tfc_port; assert tfc.lower_bound is tfc_port.lower_bound"
    )
    run = _run("-c", code, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "expected a program"),
        (["run", "missing.py"], "missing.py"),
        (["run", "--api=3", "missing.py"], "--api"),
        (["walk"], "walk"),
    ],
)
def test_mistakes_on_the_command_line_give_one_line(arguments, message, tmp_path):
    run = _run("-m", "tfc_port", *arguments, cwd=tmp_path)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
