"""How much a served model does for one request; known without TensorFlow."""

from __future__ import annotations

from tfhific.errors import ArgumentError

DEFAULT_MAX_PIXELS = 50_000_000
REQUEST_FACTOR = 4
"""A request may have so many times the pixels that a picture may, unless an export says else."""

TOO_MUCH = "too much for one request"
"""Words that the error of an element has that would be served in a request of its own."""


def request_limit(max_pixels: int, max_request_pixels: int | None) -> int:
    """The pixels of a request, all its pictures together.

    Args:
      max_pixels: of one picture.
      max_request_pixels: what was asked for; None for the default.

    Raises:
      ArgumentError: when not even the largest picture would be within it.
    """
    if max_request_pixels is None:
        return REQUEST_FACTOR * max_pixels
    if max_request_pixels < max_pixels:
        raise ArgumentError(
            f"Expected max_request_pixels of at least max_pixels, which is {max_pixels:,}. "
            f"Received: {max_request_pixels:,}."
        )
    return max_request_pixels
