"""The one command, `tfhific COMMAND ...`: it imports no other command than the one asked for."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

from tfhific.commands import launcher, streams
from tfhific.commands.table import COMMANDS, PROGRAM

_HELP = ("help", "--help", "-help", "-h", "--h", "-?", "--helpshort", "--helpfull")
_VERSION = ("version", "--version", "-version", "-V")


def listing() -> str:
    """What `tfhific --help` prints: every command with a line."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Learned image compression.",
            "",
            f"  {PROGRAM} compress photo.jpg                   photo.tfh",
            f"  {PROGRAM} compress *.jpg -o packed/            packed/*.tfh",
            f"  {PROGRAM} decompress photo.tfh                 photo.png",
            "",
            "Commands:",
            *lines,
            "",
            f"{PROGRAM} COMMAND --help lists a command's flags, with their defaults.",
            f"{PROGRAM} --version says which version this is.",
            "",
        ]
    )


def unknown(name: str) -> str:
    """One line about a word that is no command, with those that are like it."""
    near = difflib.get_close_matches(name.lower().replace("_", "-"), COMMANDS, n=3, cutoff=0.6)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"error: expected a command, received {name!r}.{meant} See {PROGRAM} --help."


def run() -> None:
    """Starts the command that this process's arguments name, and ends the process."""
    first, rest = (sys.argv[1:2] or ["help"])[0], sys.argv[2:]
    if first in _HELP and rest and rest[0] not in _HELP:
        first, rest = rest[0], ["--help"]
    if first in COMMANDS:
        _start(first, rest)
    streams.secure()
    if first in _HELP:
        print(listing(), end="")
        launcher.end(0)
    if first in _VERSION:
        from tfhific.version import __version__

        print(f"{PROGRAM} {__version__}")
        launcher.end(0)
    print(unknown(first), file=sys.stderr)
    launcher.end(1)


def _start(name: str, arguments: Sequence[str]) -> None:
    sys.argv = [f"{PROGRAM} {name}", *arguments]
    importlib.import_module(COMMANDS[name].module).run()


if __name__ == "__main__":
    run()
