"""What a system is trained with: its options, optimisers, step and the scale of its loss."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.models.options import TrainingOptions


@dataclasses.dataclass
class Training:
    """What a system is trained with; the trainer makes and checkpoints it.

    Attributes:
      options: how.
      optimizers: by name.
      groups: each optimiser's variables.
      step: int64 scalar variable, or anything that reads as one: steps done so far.
      loss_scale: for float16, or None.
    """

    options: TrainingOptions
    optimizers: dict
    groups: dict[str, list]
    step: object
    loss_scale: LossScale | None = None


class LossScale(tf.Module):
    """The factor that keeps float16 gradients from vanishing.

    It halves when a gradient overflows, whose step is left out, and doubles after `PATIENCE`
    gradients that were finite.
    """

    PATIENCE = 2000

    def __init__(self, initial: float = 2.0**15) -> None:
        super().__init__(name="loss_scale")
        mirrored = {
            "trainable": False,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        self.scale = tf.Variable(initial, dtype=tf.float32, name="scale", **mirrored)
        self.finite_steps = tf.Variable(0, dtype=tf.int64, name="finite_steps", **mirrored)

    def update(self, finite: tf.Tensor) -> None:
        """Takes note of whether a gradient was finite."""
        steps = tf.where(finite, self.finite_steps + 1, 0)
        grow = steps >= self.PATIENCE
        scale = tf.where(finite, self.scale, tf.maximum(self.scale / 2.0, 1.0))
        self.scale.assign(tf.where(grow, tf.minimum(scale * 2.0, 2.0**24), scale))
        self.finite_steps.assign(tf.where(grow, tf.zeros_like(steps), steps))
