"""The flag --quality: a number from 1 to 8, or a percentage of the way between them."""

from __future__ import annotations

import math
import re
from typing import Any

from absl import flags

from tfhific.errors import ArgumentError

_PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%\s*")
LOWEST, HIGHEST = 1.0, 8.0


class _QualityParser(flags.ArgumentParser):
    syntactic_help = "a quality"

    def convert(self, argument: Any) -> float:
        return quality_of(argument) if isinstance(argument, str) else float(argument)

    def parse(self, argument: object) -> float:
        value = self.convert(argument)
        if not LOWEST <= value <= HIGHEST:
            raise ArgumentError(_expected(argument))
        return value

    def flag_type(self) -> str:
        return "quality"


def quality_of(text: str) -> float:
    """A quality as it is typed: `5.5`, or `75%`, which is 1 + 7 * 0.75 = 6.25.

    Qualities are steps of about equal ratios of bytes, and so are percents of them.

    Args:
      text: a number, or one with a percent sign.

    Raises:
      ArgumentError: it is neither.
    """
    percent = _PERCENT.fullmatch(text)
    if percent:
        return LOWEST + (HIGHEST - LOWEST) * float(percent[1]) / 100
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ArgumentError(_expected(text))
    return value


def _expected(argument: object) -> str:
    return f"expected 1 (smallest) to 8 (best), or 0% to 100%. Received: {argument}."


def define_quality(default: float | None, text: str) -> None:
    """Defines the flag.

    Args:
      default: the quality without it.
      text: what more there is to say than what qualities there are.
    """
    said = f"1 (smallest) to 8 (best), fractions allowed, or 0% to 100% of that way{text}"
    flags.DEFINE(_QualityParser(), "quality", default, said, serializer=flags.ArgumentSerializer())
