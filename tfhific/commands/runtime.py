"""Which runtime a command that turns pictures into files or back takes, and how it is started."""

from __future__ import annotations

import os
import stat
import warnings
from typing import TYPE_CHECKING

from tfhific.commands import common, streams

if TYPE_CHECKING:
    from tfhific.files.planning import Plan

LIGHT_PIXELS = 6_000_000
"""Up to so many pixels a job is done sooner by LiteRT: what TensorFlow takes to start, about two
seconds and a half, is what it is ahead by then. See docs/runtimes.md."""

PICTURE_PIXELS = 100_000
"""A picture counts as so many at the least: LiteRT prepares networks for each size it meets."""


def for_job(wanted: str, planned: Plan, passes: int = 1) -> str:
    """What a codec is asked for, where `auto` is by the work that there is to do.

    Args:
      wanted: what `--runtime` says.
      planned: the job.
      passes: how often a picture goes through the networks.

    Returns:
      A `runtime` of `tfhific.codec.base.Codec`.
    """
    from tfhific.runtimes.choice import AUTO, LIGHT

    if wanted != AUTO:
        return wanted
    pixels = 0
    for job in planned.jobs:
        if job.done or job.problem is not None:
            continue
        pixels += passes * max(_pixels(job.source), PICTURE_PIXELS)
        if pixels > LIGHT_PIXELS:
            return AUTO
    return LIGHT


def _pixels(source: str) -> int:
    """Of a picture or a `.tfh` file, as its header says; 0 where nothing does before it is read."""
    from PIL import Image

    from tfhific.bitstream import container
    from tfhific.bitstream.front import read_front

    try:
        # What a pipe gives can be read once.
        if source == "-" or not stat.S_ISREG(os.stat(source).st_mode):
            return 0
        with open(source, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if file.peek(len(container.MAGIC)).startswith(container.MAGIC):
                height, width = read_front(file).size
            else:
                with Image.open(file) as image:
                    width, height = image.size
    except Image.DecompressionBombError:
        return LIGHT_PIXELS + 1
    # The work on the file says what is wrong with it: Pillow trips over damage in many ways.
    except Exception:
        return 0
    return width * height


def start(name: str) -> None:
    """Starts what networks are run by, without its notices.

    Args:
      name: of a runtime.
    """
    if name == "tensorflow":
        common.start_tensorflow()
        return
    with streams.without_stderr():
        from tfhific.runtimes.litert import network

        network.start()
