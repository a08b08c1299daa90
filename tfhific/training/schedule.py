"""Learning-rate schedules, and when a run ends."""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

from tfhific.errors import ArgumentError, TfhificError


class Schedule(Protocol):
    """The learning rate at a step, with `progress` the share of the run done, 0..1."""

    def __call__(self, step: int, progress: float) -> float: ...


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
class StepSchedule:
    """Linear warm-up, then constant but for a drop at each boundary.

    Attributes:
      peak: learning rate after the warm-up.
      boundaries: steps at which the learning rate drops: the step of that number (counted from 0)
        is the first with the lower one.
      decay: factor of each drop.
      warmup_steps: steps of the warm-up.
    """

    peak: float = 1e-4
    boundaries: tuple[int, ...] = ()
    decay: float = 0.1
    warmup_steps: int = 0

    def __call__(self, step: int, progress: float) -> float:
        """Learning rate at a step; the run's progress does not matter."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        drops = sum(step >= boundary for boundary in self.boundaries)
        return self.peak * warm * self.decay**drops


def make_schedule(options) -> Schedule:
    """The schedule that a run's `TrainingOptions` name.

    Raises:
      TfhificError: for a name that is not known.
    """
    if options.schedule == "cosine":
        return CosineSchedule(options.learning_rate, options.warmup_steps)
    if options.schedule in ("step", "constant"):
        boundaries = options.boundaries if options.schedule == "step" else ()
        return StepSchedule(
            options.learning_rate, tuple(boundaries), options.decay, options.warmup_steps
        )
    raise TfhificError(
        f"`schedule`: expected cosine, step or constant. Received: {options.schedule!r}."
    )


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
            raise ArgumentError(
                "Expected a positive number of steps or minutes to train for. "
                f"Received: steps={self.steps}, minutes={self.minutes}."
            )

    def progress(self, step: int, seconds: float) -> float:
        """The share of the run that is done, 0..1."""
        by_steps = step / self.steps if self.steps > 0 else 0.0
        by_time = seconds / (60.0 * self.minutes) if self.minutes > 0 else 0.0
        return min(1.0, max(by_steps, by_time))
