"""The file of a run's weights, and what of them is the codec's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from torch import Tensor


def codec_digest(state: dict[str, Tensor], without: tuple[str, ...] = ("synthesis.",)) -> str:
    """Of all weights but those whose names begin so."""
    digest = hashlib.sha256()
    for name in sorted(n for n in state if not n.startswith(without)):
        digest.update(state[name].numpy().tobytes())
    return digest.hexdigest()


def read_codec(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """The settings and weights of a `weights.safetensors`.

    Raises:
      SystemExit: it is something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as file:
            settings = json.loads((file.metadata() or {})["config"])
            names = list(file.keys())
            return settings, {name: file.get_tensor(name).float() for name in names}
    except (SafetensorError, KeyError, ValueError) as error:
        raise SystemExit(
            f"error: {path}: expected the weights of a run of train.py ({error!r:.100})."
        ) from None
