"""Which qualities a codec has, and what a quality is stored as."""

from __future__ import annotations

import dataclasses

from tfhific.bitstream import container
from tfhific.errors import ArgumentError
from tfhific.published.model import PublishedModel


@dataclasses.dataclass(frozen=True)
class Rates:
    """The qualities of a codec, from the smallest files to the best pictures.

    Attributes:
      lowest: the smallest quality.
      highest: the largest one; the same as `lowest` where there is one rate, which training chose.
      default: what is taken where none is asked for.
    """

    lowest: float = 1.0
    highest: float = 8.0
    default: float = 5.0

    @property
    def single(self) -> bool:
        """Whether there is one rate."""
        return self.lowest == self.highest

    def code(self, quality: float | None, name: str) -> int:
        """What a file says of its quality: see `tfhific.bitstream.container`.

        Args:
          quality: None for the default.
          name: the model's, for the message.

        Raises:
          ArgumentError: for a quality outside the range, and for any where there is one rate.
        """
        if quality is None:
            return container.quality_code(self.default)
        if self.single:
            raise ArgumentError(
                f"{name} has one rate, which its training chose: leave `quality` out. "
                f"Received: {quality}."
            )
        return container.quality_code(quality)


MANY = Rates()
"""Of a model that learned a range of rates."""

ONE = Rates(1.0, 1.0, 1.0)
"""Of a model of one rate; its files store 0, the code of quality 1."""


def rates_of(published: PublishedModel) -> Rates:
    """The qualities of a published model."""
    return ONE if published.single_rate else MANY
