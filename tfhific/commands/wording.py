"""The package's messages in the words of a command line."""

from __future__ import annotations

import re

from absl import flags

_RENAMED = {"kept": "keep", "loss": "search_loss"}
"""Options whose flags have other names."""

_OPTION = re.compile(r"`([a-z]\w*)(=[^`]*)?`")


def as_flags(message: str) -> str:
    """A message with every option of it that this command has as its flag.

    In messages of `tfhific` an option stands as `crop` or `stage=2`, which a caller in Python
    knows it by; on the command line it is --crop or --stage=2.
    """

    def flag(found: re.Match) -> str:
        for name in (found[1], _RENAMED.get(found[1])):
            if name in flags.FLAGS:
                return f"--{name}{found[2] or ''}"
        return found[0]

    return _OPTION.sub(flag, message)
