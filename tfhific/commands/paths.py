"""Flags that name files and folders: `~` stands for the home folder after an equals sign too."""

from __future__ import annotations

import os
import re

from absl import flags


class _PathParser(flags.ArgumentParser):
    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        return expanded(argument)

    def flag_type(self) -> str:
        return "path"


class _CodecsParser(flags.ListParser):
    """Models among names, separated by commas, and by + after a label."""

    def parse(self, argument) -> list[str]:
        return [re.sub(r"(?<![^=+])~[^+]*", _home, item) for item in super().parse(argument)]


def _home(found: re.Match) -> str:
    return expanded(found[0])


def expanded(path: str) -> str:
    """A path with `~` or `~name` at its beginning replaced by that user's home folder.

    Shells do so only where a word begins, and `--model=~/mine` is one word.
    """
    return os.path.expanduser(path) if isinstance(path, str) else path


def define_path(name: str, default: str | None, text: str, short_name: str | None = None) -> None:
    """Defines a flag that names a file or a folder, with a letter for short if there is one."""
    serializer = flags.ArgumentSerializer()
    flags.DEFINE(_PathParser(), name, default, text, serializer=serializer, short_name=short_name)


def define_codecs(name: str, default: list[str] | None, text: str) -> None:
    """Defines a flag of codecs by names or folders, `NAME,LABEL=FOLDER+FOLDER`."""
    flags.DEFINE(_CodecsParser(), name, default, text, serializer=flags.CsvListSerializer(","))
