"""Sizes of `mini` and `mini2`: shared with programs that have no TensorFlow."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tfhific.models.mini2_config import Mini2Config
from tfhific.models.mini_config import MiniConfig

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_sizes_and_block_transform_need_no_tensorflow():
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'tf_keras', 'tensorflow_probability'):\n"
        "    sys.modules[name] = None\n"
        "from tfhific.models.mini2_config import Mini2Config\n"
        "from tfhific.models.block_transform import block_transform\n"
        "print(len(Mini2Config(num_scales=7).scales()), block_transform(5).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.returncode) == ("7 (5, 768)\n", 0), done.stderr


@pytest.mark.parametrize("kind", [MiniConfig, Mini2Config])
def test_lambdas_and_scales_run_geometrically_between_their_ends(kind):
    config = kind(lambda_min=0.001, lambda_max=0.1, scale_min=0.5, scale_max=32.0, num_scales=7)
    found = np.exp([config.log_lambda(quality) for quality in (1.0, 4.5, 8.0)])
    np.testing.assert_allclose(found, [0.001, 0.01, 0.1])
    np.testing.assert_allclose(config.scales(), [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
