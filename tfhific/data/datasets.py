"""Images of TensorFlow Datasets, read by their position from the files that it prepares."""

from __future__ import annotations

import os

from tfhific.data.shards import Shards
from tfhific.errors import ImageError

PREFIX = "tfds:"


def open_tfds(spec: str, data_dir: str | None = None) -> Shards:
    """The pictures of a dataset of tensorflow-datasets; downloads and prepares it where needed.

    Args:
      spec: "tfds:NAME" or "tfds:NAME:SPLIT" such as "tfds:coco/2014" or
        "tfds:clic:validation"; the split is "train" unless given.
      data_dir: where tensorflow-datasets keeps its files; None for its own default.

    Raises:
      ImageError: without tensorflow-datasets, for a dataset or split that doesn't exist or can't
        be prepared, or whose files are not TFRecords of encoded images under "image".
    """
    name, _, split = spec[len(PREFIX) :].partition(":")
    split = split or "train"
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImageError(
            f"`data={spec}` needs the package tensorflow-datasets, which is not there "
            f"({error}): pip install tensorflow-datasets."
        ) from None
    # What a builder raises depends on the dataset; to the user it is one thing.
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
        splits = builder.info.splits
        known = sorted(splits)
        paths = [os.fspath(path) for path in splits[split].filepaths] if split in known else []
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ImageError(
            f"`data={spec}`: tensorflow-datasets cannot give {name!r}: "
            f"{type(error).__name__}: {reason}"
        ) from None
    if split not in known:
        raise ImageError(f"`data={spec}`: {name!r} has the splits {', '.join(known)}.")
    return Shards(paths)
