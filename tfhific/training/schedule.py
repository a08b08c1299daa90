"""Learning-rate schedules over the share of a run that is done."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class CosineSchedule:
    """Linear warm-up, then cosine decay to zero at the run's end.

    Attributes:
      peak: learning rate after the warm-up.
      warmup_steps: steps of the warm-up.
    """

    peak: float = 6e-4
    warmup_steps: int = 200

    def __call__(self, step: int, progress: float) -> float:
        """Learning rate at a step, with `progress` the share of the run done, 0..1."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        return self.peak * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


@dataclasses.dataclass(frozen=True)
class Budget:
    """When a run ends: after a number of steps, a training time, or whichever comes first.

    Attributes:
      steps: optimiser steps; 0 for no such limit.
      minutes: minutes of training, earlier parts of a resumed run included; 0 for no such limit.
    """

    steps: int = 0
    minutes: float = 0.0

    def __post_init__(self) -> None:
        if self.steps <= 0 and self.minutes <= 0:
            raise ValueError(
                "Expected a positive number of steps or minutes to train for. "
                f"Received: steps={self.steps}, minutes={self.minutes}."
            )

    def progress(self, step: int, seconds: float) -> float:
        """The share of the run that is done, 0..1."""
        by_steps = step / self.steps if self.steps > 0 else 0.0
        by_time = seconds / (60.0 * self.minutes) if self.minutes > 0 else 0.0
        return min(1.0, max(by_steps, by_time))
