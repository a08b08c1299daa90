"""Sizes of `mini2` and where its networks start: the Keras model's own, without TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tfhific.models.block_transform import block_transform
from tfhific.models.mini2_config import Mini2Config
from tfhific.models.mini_config import (
    HYPER_STRIDE,
    LINEAR_PACE,
    NUM_QUALITIES,
    STRIDE,
)

__all__ = [
    "HYPER_STRIDE",
    "LINEAR_PACE",
    "NUM_QUALITIES",
    "STRIDE",
    "Mini2Config",
    "block_transform",
]
