"""The commands by name, and how each is called by whichever way it was started.

Every command is started three ways: `tfhific make-shards`, `tfhific-make-shards` where the package
is installed, and `bin/make_shards.py` in a checkout. Texts of the package call it
`bin/make_shards.py`, or `make_shards.py` for short; `in_this_way` puts them in the words of the way
that was taken.
"""

from __future__ import annotations

import dataclasses
import os
import re

PROGRAM = "tfhific"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of `tfhific`.

    Attributes:
      name: as it is typed.
      summary: what it does, in a line.
    """

    name: str
    summary: str

    @property
    def script(self) -> str:
        """Name of its module in `tfhific.commands`, and of its launcher in `bin`."""
        return self.name.replace("-", "_")

    @property
    def module(self) -> str:
        """Full name of the module that does it."""
        return f"{PROGRAM}.commands.{self.script}"


COMMANDS: dict[str, Command] = {
    name: Command(name, summary)
    for name, summary in (
        ("compress", "compress pictures to .tfh files"),
        ("decompress", "decompress .tfh files to pictures"),
        ("info", "say what a .tfh file holds"),
        ("thumbnail", "make small pictures of .tfh files"),
        ("demo", "compress a picture and put it beside JPEG"),
        ("train", "train a model, or continue a run"),
        ("publish", "make a model that codes files from a run"),
        ("evaluate", "compare codecs on pictures: table, curves, page"),
        ("export", "export a model for TensorFlow Serving"),
        ("batch", "put files through an exported model"),
        ("bulk", "put pictures through a Ray cluster"),
        ("bench", "time codecs, whole commands and servers"),
        ("make-shards", "pack pictures into TFRecord shards"),
        ("import-torch", "import a checkpoint of HiFiC in PyTorch"),
        ("export-torch", "export HiFiC as a checkpoint for PyTorch"),
        ("import-lpips", "make a file of LPIPS weights"),
        ("digits", "judge a GAN of digits"),
        ("fuzz", "give damaged files to the decoder"),
    )
}
"""In the order in which they are listed."""

_SCRIPTS = {command.script: command for command in COMMANDS.values()}
_LONG = re.compile(rf"(?<![\w./-])bin/({'|'.join(_SCRIPTS)})\.py\b")
_SHORT = re.compile(rf"(?<![\w./-])(?:bin/)?({'|'.join(_SCRIPTS)})\.py\b")


def in_this_way(text: str, program: str, *, short: bool = False) -> str:
    """A text with every command in it called as `program` was.

    Args:
      text: in which commands are called `bin/NAME.py`.
      program: what the process was started as: `tfhific`, alone or with a command's name after it,
        `tfhific-NAME`, or the path of a launcher, whose text is left as it is.
      short: whether `NAME.py` is a command in this text too, and not a user's file.
    """
    started = os.path.basename(program)
    mention = _SHORT if short else _LONG
    if started == PROGRAM or started.startswith(f"{PROGRAM} "):
        return mention.sub(lambda found: f"{PROGRAM} {_SCRIPTS[found[1]].name}", text)
    if started.startswith(f"{PROGRAM}-"):
        return mention.sub(lambda found: f"{PROGRAM}-{_SCRIPTS[found[1]].name}", text)
    return text
