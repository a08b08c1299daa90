"""Checks of arguments that work eagerly and inside a `tf.function`."""

from __future__ import annotations

import tensorflow as tf

from tfc_port._types import TensorLike


def require(condition: bool | tf.Tensor, message: str, *values: TensorLike) -> tf.Operation | None:
    """Raises `tf.errors.InvalidArgumentError` with `message` and `values` unless `condition` holds.

    Args:
      condition: Python or tensor boolean, scalar.
      message: What was expected and what to do.
      *values: Tensors or numbers to show after the message.

    Returns:
      None, or, where the condition is known only when a graph runs, the op that checks it.
    """
    known = condition if isinstance(condition, bool) else tf.get_static_value(condition)
    if known is None:
        return tf.debugging.Assert(condition, [message, *values])
    if not known:
        shown = [tf.get_static_value(value) for value in values]
        text = " ".join([message, *(str(value) for value in shown if value is not None)])
        raise tf.errors.InvalidArgumentError(None, None, text)
    return None
