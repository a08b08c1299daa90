"""What the page of a report holds, as far as a user has a say."""

from __future__ import annotations

import dataclasses

from tfhific.errors import TfhificError


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """What the page holds.

    Attributes:
      images: so many pictures, the first ones; 0 for none.
      side: longer pictures are cut to their middle, this wide and high at most, in pixels.
      megabytes: of the page; fewer sizes, then fewer pictures, keep it below.
      lossless: pictures as lossless WebP instead of JPEG of quality 95.
    """

    images: int = 24
    side: int = 1024
    megabytes: float = 38.0
    lossless: bool = False

    def __post_init__(self) -> None:
        if self.images < 0 or self.side < 16 or not 0.05 <= self.megabytes <= 2000:
            raise TfhificError(
                "The report takes 0 pictures or more, a side from 16 pixels and .05 to 2,000 "
                f"megabytes. Received: {self.images}, {self.side} and {self.megabytes:g}."
            )
