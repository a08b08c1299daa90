"""A compressed picture, from the encoder's side."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from tfhific.bitstream import container
from tfhific.bitstream.container import Contents


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A compressed picture, and what its decoder will see.

    Attributes:
      contents: of the file.
      code: what `Codec.decode_code` will find in it: float32 [h, w, channels] decoded latents
        before the gain, int32 [h, w, channels] symbols of centres, or int32 [latent] levels of z.
    """

    contents: Contents
    code: np.ndarray

    @functools.cached_property
    def data(self) -> bytes:
        """The file's bytes."""
        return container.pack(self.contents)

    @property
    def size(self) -> tuple[int, int]:
        """The picture's height and width in pixels."""
        return self.contents.size
