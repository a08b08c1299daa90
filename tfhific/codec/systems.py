"""Which codec runs which published system."""

from __future__ import annotations

import importlib
import os

# Module and name of the codec class, for systems that are stored as a `WholeModel`. Every other
# system is a hyperprior codec: `tfhific.codec.hyperprior.Codec`.
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
    model = read_model(folder)
    if model.system not in WHOLE_SYSTEMS:
        from tfhific.codec.hyperprior import Codec

        return Codec(model, **options)
    module, name = WHOLE_SYSTEMS[model.system]
    codec = getattr(importlib.import_module(module), name)(model, **options)
    codec.check_published(os.fspath(folder))
    return codec


def read_model(folder: str | os.PathLike):
    """The published model in a folder: a `Model` or a `WholeModel`.

    Raises:
      ModelError: when there is none, or it is damaged.
    """
    from tfhific.published.hyperprior import load_model, read_description

    if read_description(folder).get("system") not in WHOLE_SYSTEMS:
        return load_model(folder)
    from tfhific.published.model import load_whole_model

    return load_whole_model(folder)
