"""How hard an encoder tries: levels 1 to 9, whose files every decoder reads.

Level 1 rounds each latent to the nearest symbol. The others choose symbols by what they cost, bits
plus the model's own weight of the distortion times the squared error: 2 to 4 move single symbols
(`tfhific.codec.decisions`), 5 to 9 search latents and hyperlatents (`tfhific.codec.annealing`),
which can lower LPIPS too (`tfhific.codec.distortions`). A picture keeps the symbols of level 1
where a file of others would not cost less.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import operator
import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tfhific.bitstream import container
from tfhific.bitstream.container import Contents
from tfhific.codec.encoded import Encoded
from tfhific.errors import ArgumentError, TfhificError
from tfhific.published.hyperprior import HyperpriorModel

LOWEST, HIGHEST = 1, 9
DEFAULT = 1
"""The effort where none is asked for: what an encoder does without any."""

Progress = Callable[[int, int], None]
"""Told of steps that are done and of how many there are."""


@dataclasses.dataclass(frozen=True)
class Level:
    """What an effort stands for.

    Attributes:
      rounds: of decisions on single symbols; after the steps where there are both.
      steps: of annealing.
      pace: learning rate of the steps, in symbols.
    """

    rounds: int = 0
    steps: int = 0
    pace: float = 0.0


LEVELS = {
    1: Level(),
    2: Level(rounds=1),
    3: Level(rounds=4),
    4: Level(rounds=12),
    5: Level(rounds=4, steps=50, pace=0.05),
    6: Level(rounds=4, steps=80, pace=0.04),
    7: Level(rounds=4, steps=120, pace=0.03),
    8: Level(rounds=4, steps=180, pace=0.03),
    9: Level(rounds=4, steps=250, pace=0.03),
}


def checked(effort: object) -> int:
    """An effort as a whole number.

    Args:
      effort: from 1 to 9, or None for the default.

    Raises:
      ArgumentError: for anything else.
    """
    if effort is None:
        return DEFAULT
    found = 0
    if not isinstance(effort, (bool, np.bool_)):
        with contextlib.suppress(TypeError):
            found = operator.index(effort)  # type: ignore[arg-type]
    if not LOWEST <= found <= HIGHEST:
        raise ArgumentError(
            f"`effort`: expected a whole number from {LOWEST} (fastest) to {HIGHEST} (smallest "
            f"files). Received: {effort!r}."
        )
    return found


def check_perception(effort: int, lpips: str | os.PathLike | None) -> None:
    """Checks that an effort searches, where LPIPS is to be lowered too.

    Args:
      effort: from 1 to 9.
      lpips: file of weights, or None.

    Raises:
      ArgumentError: for weights and an effort that moves single symbols or none.
    """
    if lpips is not None and not LEVELS[effort].steps:
        least = min(number for number, level in LEVELS.items() if level.steps)
        raise ArgumentError(
            f"`lpips`: goes with an `effort` of {least} to {HIGHEST}. Received: {effort}."
        )


_OF_A_DEAD_ZONE = 0.75
"""An encoder with a dead zone weighs errors less than training did. At so much of lambda others
spend no more bits than it does, and save as much at equal error: of `mini-v3` files of efforts 2 to
6 were 1 to 3 % larger than of effort 1 at all of it."""


class TriesHarder(Protocol):
    """The part of a codec that chooses symbols by what they cost."""

    def encode(
        self,
        image: np.ndarray,
        quality_code: int,
        effort: int,
        progress: Progress | None,
        lpips: str | os.PathLike | None = None,
    ) -> Encoded:
        """Encodes a checked picture, without metadata, at an effort above 1.

        With a file of weights, LPIPS counts too: see `tfhific.codec.distortions.Perceived`.

        Raises:
          ModelError: when the weights are missing, or something else.
        """

    def encode_again(
        self, contents: Contents, image: np.ndarray, lpips: str | os.PathLike | None = None
    ) -> Encoded:
        """What a file's own symbols give when they are coded once more.

        Raises:
          ModelError: as `encode`.
          TfhificError: where they cost more than the symbols of effort 1.
        """


def weight_of(model: HyperpriorModel, quality_code: int) -> float:
    """Bits that a squared error of one, in one colour of one pixel on 0..255, is worth.

    The model was trained to lower bits per pixel plus lambda times the mean squared error.

    Args:
      model: the published model.
      quality_code: see `tfhific.bitstream.container`.

    Raises:
      TfhificError: for a model that does not say what it was trained for.
    """
    config: dict[str, Any] = model.config or model.training.get("config") or {}
    bounds = [config.get(name) for name in ("lambda_min", "lambda_max")]
    low, high = (float(v) if isinstance(v, (int, float)) else 0.0 for v in bounds)
    if low <= 0 or high <= 0:
        raise TfhificError(
            f"{model.name} has no `effort` above {DEFAULT}: it was trained for more than squared "
            "errors, or does not say what they count against bits (lambda). Leave `effort` out."
        )
    share = quality_code / (container.QUALITY_STEPS * (len(model.log_gain) - 1))
    lambda_ = math.exp((1 - share) * math.log(low) + share * math.log(high))
    return lambda_ * (1.0 if model.dead_zone is None else _OF_A_DEAD_ZONE) / 3.0
