"""Which codec runs which published system."""

from __future__ import annotations

import importlib
import os

# Module and name of the codec class, for systems that are stored as a `WholeModel`. Every other
# system is a hyperprior codec: `tfhific.codec.codec.Codec`.
WHOLE_SYSTEMS = {
    "gc": ("tfhific.codec.centres", "CentresCodec"),
    "sc": ("tfhific.codec.centres", "CentresCodec"),
    "inversion": ("tfhific.codec.inversion", "InversionCodec"),
    "cgan": ("tfhific.codec.inversion", "InversionCodec"),
}


def open_codec(folder: str | os.PathLike, **options):
    """The codec of the published model in a folder.

    Args:
      folder: holds a model.
      **options: `coder`, `tile`, `max_pixels`, `precision`.

    Raises:
      ModelError: when there is no model, or it is damaged.
      TfhificError: for options that the model's system doesn't have.
    """
    from tfhific.codec.model import load_model, read_description

    system = read_description(folder).get("system")
    if system not in WHOLE_SYSTEMS:
        from tfhific.codec.codec import Codec

        return Codec(load_model(folder), **options)
    from tfhific.codec.whole_model import load_whole_model

    module, name = WHOLE_SYSTEMS[system]
    return getattr(importlib.import_module(module), name)(load_whole_model(folder), **options)
