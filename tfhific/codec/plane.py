"""An alpha plane beside the latents: a grey PNG, lossless."""

from __future__ import annotations

import numpy as np

from tfhific.codec.images import read_picture
from tfhific.errors import BitstreamError, ImageError

COMPRESSION = 9
"""zlib's highest level."""


def encode_plane(plane: np.ndarray) -> bytes:
    """A uint8 [H, W] plane as a PNG file.

    Written by TensorFlow, as a SavedModel's graph writes it: the same bytes.
    """
    import tensorflow as tf

    with tf.device("/cpu:0"):
        return tf.io.encode_png(plane[..., None], compression=COMPRESSION).numpy()


def decode_plane(data: bytes, shape: tuple[int, int]) -> np.ndarray:
    """The plane of a PNG file, uint8 [H, W].

    Raises:
      BitstreamError: when it is damaged or of another shape.
    """
    try:
        plane = read_picture(data, max_pixels=shape[0] * shape[1]).pixels[..., 0]
    except ImageError as error:
        raise BitstreamError(f"The file's alpha plane can't be read: {error}") from None
    if plane.shape != tuple(shape):
        raise BitstreamError(
            f"The file's alpha plane has {plane.shape[1]}x{plane.shape[0]} pixels, its picture "
            f"{shape[1]}x{shape[0]}."
        )
    return np.ascontiguousarray(plane)
