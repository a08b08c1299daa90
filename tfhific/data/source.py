"""What training reads: lists of pictures, and the data of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfhific.errors import TfhificError
from tfhific.files.listing import LeftOut
from tfhific.interface import lacking

if TYPE_CHECKING:
    import tensorflow as tf


class Pictures(Protocol):
    """A list of pictures, all of one number of channels.

    Attributes:
      left_out: what there is beside them where they were looked for; empty where nobody looked.
    """

    left_out: LeftOut

    def __len__(self) -> int: ...

    def name(self, position: int) -> str:
        """What a message calls the picture of that position."""
        ...

    def read(self, position: int) -> np.ndarray:
        """uint8 [height, width, channels], the first three red, green, blue; or `ImageError`."""
        ...


class RunData(Protocol):
    """The data of a training run, from `--data`: what `TrainableSystem.open_data` returns.

    Attributes:
      count: of pictures.
      skipped: names of the pictures that could not be read so far, with the reason.
    """

    @property
    def count(self) -> int: ...

    @property
    def skipped(self) -> dict[str, str]: ...

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Endless batches, those of a step and all that follow: what `train_step` takes.

        They depend on the step alone, so that a resumed run goes on with what it would have seen.
        """
        ...

    def samples(self, count: int) -> Any:
        """The first so many: what `TrainableSystem.reconstructions` takes."""
        ...

    def describe(self) -> str:
        """A few words for the log, such as how many pictures there are."""
        ...


def check_run_data(data: object, origin: str) -> RunData:
    """Refuses what can't be the data of a run.

    Args:
      data: what was opened.
      origin: what opened it, for the message.

    Raises:
      TfhificError: naming what it lacks.
    """
    missing = lacking(data, RunData)
    if missing:
        raise TfhificError(
            f"{origin} gives a {type(data).__name__} as the data of a run, which lacks "
            f"{', '.join(missing)}: see tfhific.data.source.RunData."
        )
    return data  # type: ignore[return-value]
