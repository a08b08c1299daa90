"""TensorFlow's decorators that leave a function's type what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def do_not_convert(function: FunctionT) -> FunctionT:
    """`tf.autograph.experimental.do_not_convert`."""
    return tf.autograph.experimental.do_not_convert(function)


def with_name_scope(method: FunctionT) -> FunctionT:
    """`tf.Module.with_name_scope`."""
    return tf.Module.with_name_scope(method)
