"""Loops whose vectors may differ in what is known of their length while the graph is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def run_loop(
    condition: Callable[..., tf.Tensor],
    body: Callable[..., tuple[Any, ...]],
    variables: tuple[Any, ...],
) -> tuple[Any, ...]:
    """`tf.while_loop` over scalars, vectors and tensor arrays, one step at a time."""

    def invariant(variable: tf.Tensor | tf.TensorArray) -> tf.TensorShape:
        if isinstance(variable, tf.TensorArray):
            return tf.TensorShape(None)
        return tf.TensorShape([None] * variable.shape.rank)

    return tf.while_loop(
        condition,
        body,
        variables,
        shape_invariants=tuple(invariant(variable) for variable in variables),
        parallel_iterations=1,
    )
