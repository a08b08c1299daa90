"""Loops whose vectors may differ in what is known of their length while the graph is made."""

from __future__ import annotations

import tensorflow as tf


def run_loop(condition, body, variables):
    """`tf.while_loop` over scalars, vectors and tensor arrays, one step at a time."""

    def invariant(variable):
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
