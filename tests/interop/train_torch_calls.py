"""Calls of `tools/train_torch` as processes, and the sizes of a codec that costs nothing."""

from __future__ import annotations

import pathlib
import subprocess
import sys

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "train_torch"
SMALL = (
    '{"latent_channels": 16, "hyper_channels": 6, "width": 16, "encoder_blocks": 1, '
    '"decoder_blocks": 1, "fine_channels": 4, "context_channels": 8}'
)


def call(script: str, *arguments: object) -> subprocess.CompletedProcess:
    """Runs one of its scripts to the end."""
    command = [sys.executable, str(TOOLS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)
