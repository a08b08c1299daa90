"""How large a picture may be, and what is said of one that is larger."""

from __future__ import annotations

import math

import numpy as np


def size_of(array: np.ndarray) -> tuple[int, int]:
    """Height and width, or rows and columns, of an array [height, width, ...]."""
    return array.shape[0], array.shape[1]


def fitting_size(height: int, width: int, limit: int) -> tuple[int, int]:
    """The largest size of that shape with at most `limit` pixels: height and width."""
    factor = math.sqrt(limit / (height * width))
    return max(int(height * factor), 1), max(int(width * factor), 1)


def beyond_limit(height: int, width: int, limit: int) -> str:
    """What is said of a picture that is beyond a limit which a user can raise."""
    return (
        f"expected a picture of at most {limit:,} pixels, received {width}x{height}; raise the "
        "limit or scale it down"
    )


def beyond_memory(height: int, width: int, limit: int, what: str) -> str:
    """What is said of a picture, called `what`, that is too large to be seen whole."""
    tall, wide = fitting_size(height, width, limit)
    return (
        f"{what} of {width}x{height} pixels is too large for a model that sees it whole: expected "
        f"at most {limit:,} pixels, such as {wide}x{tall}. Scale it down, or take a model that "
        "works in tiles, such as mini."
    )
