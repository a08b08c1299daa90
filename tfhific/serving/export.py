"""A published model as a SavedModel in a versioned folder, as TensorFlow Serving looks for it."""

from __future__ import annotations

import os
import shutil
import tempfile

from tfhific.errors import OutputError, TfhificError
from tfhific.published.model import PublishedModel
from tfhific.serving.limits import DEFAULT_MAX_PIXELS
from tfhific.serving.warmup import write_warmup


def next_version(folder: str) -> int:
    """One more than the largest version in a folder; 1 where there is none."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return 1
    except OSError as error:
        raise OutputError(f"{folder}: expected a folder ({error.strerror}).") from None
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1


def export(
    model: PublishedModel,
    folder: str,
    version: int | None = None,
    *,
    quality: float | None = None,
    coder: str = "graph",
    max_pixels: int | None = None,
    max_request_pixels: int | None = None,
    warmup: bool = True,
) -> str:
    """Writes `folder/version`, whole or not at all.

    Args:
      model: the published model.
      folder: the model's folder for all its versions; made if it isn't there.
      version: a positive integer; None for the next one.
      quality: of the signature `compress`; None for 5, and always None for a model of one rate.
      coder: `graph` (core ops) or `native` (TFC's kernels).
      max_pixels: larger pictures are refused; None for the default.
      max_request_pixels: of all pictures of a request together; None for four times as many.
      warmup: whether to add requests that a server makes when it loads the model.

    Returns:
      The folder written.

    Raises:
      OutputError: when that version is there already, or can't be written.
      TfhificError: when the model or an option can't be exported, a quality of one rate too.
    """
    import tensorflow as tf

    from tfhific.serving.signatures import Served

    version = next_version(folder) if version is None else version
    if version < 1:
        raise TfhificError(f"Expected a positive version. Received: {version}.")
    target = os.path.join(folder, str(version))
    if os.path.lexists(target):
        raise OutputError(f"{target}: is there already; name another version.")
    pixels = max_pixels or DEFAULT_MAX_PIXELS
    served = Served(model, quality, pixels, coder, max_request_pixels)
    staging = None
    try:
        os.makedirs(folder, exist_ok=True)
        # Serving takes folders for versions whose names are numbers, and only these.
        staging = tempfile.mkdtemp(prefix=".export-", dir=folder)
        inner = os.path.join(staging, "model")
        tf.saved_model.save(served, inner, signatures=served.functions)
        if warmup:
            write_warmup(inner, model)
        os.rename(inner, target)
    except OSError as error:
        raise OutputError(f"{target}: can't be written ({error.strerror or error}).") from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return target
