"""tfhific: learned and generative image compression for TensorFlow.

Pictures to bytes and back:

    codec = tfhific.load("mini")
    data = codec.compress(image, quality=5.0)
    image = codec.decompress(data)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tfhific.errors import (
    ArgumentError,
    BitstreamError,
    ImageError,
    ModelError,
    OutputError,
    TfhificError,
)
from tfhific.version import __version__

if TYPE_CHECKING:
    from tfhific.codec.base import Codec

# TensorFlow sets this itself, but after the first of its modules have asked for it. In a program
# that imports it within absl's `app.run`, TensorFlow 2.14 then starts as version 1 would, and Keras
# networks lose their variables.
os.environ.setdefault("TF2_BEHAVIOR", "1")

__all__ = [
    "ArgumentError",
    "BitstreamError",
    "ImageError",
    "ModelError",
    "OutputError",
    "TfhificError",
    "__version__",
    "load",
    "load_for",
]


def load(model: str | os.PathLike = "mini", **options: Any) -> Codec:
    """Loads a published model as a codec.

    Args:
      model: a model's name (`mini`, which is `mini-v3`), or the folder of one.
      **options: `coder`, `tile`, `max_pixels`, `precision`, `runtime`; see
        `tfhific.codec.base.Codec`. `starting`: see `tfhific.systems.codec_of`.

    Raises:
      ModelError: when there is no such model, or it is damaged.
    """
    from tfhific import systems, zoo

    return systems.open_codec(zoo.find_by_name(model), **options)


def load_for(data: bytes, **options: Any) -> Codec:
    """Loads the codec of the model that made a `.tfh` file, found by its fingerprint.

    Args:
      data: the file's bytes.
      **options: see `load`.

    Raises:
      BitstreamError: when the bytes are no such file, damaged, or of a model that is not here.
    """
    from tfhific import systems, zoo
    from tfhific.bitstream import container

    max_pixels = options.get("max_pixels", container.DEFAULT_MAX_PIXELS)
    folder = zoo.find_by_fingerprint(container.unpack(data, max_pixels).fingerprint)
    return systems.open_codec(folder, **options)
