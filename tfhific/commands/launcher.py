"""Starts a command: its streams, its flags, --help, and its exit code.

Not absl's own `app.run`: once that has begun, TensorFlow 2.14 asks for devices in the middle of its
import, when it still takes itself for version 1, and keeps a context without eager execution around
functions. Keras networks built later then lose their variables.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import flags

from tfhific.commands import streams
from tfhific.commands.table import in_this_way

_WIDTH = 88
_HELP = ("--help", "-help", "-h", "--h", "-?", "--helpshort", "--helpfull")
_VALUES = {"float": "NUMBER", "int": "INTEGER", "bool": "", "path": "PATH", "quality": "1..8|N%"}


def launch(
    define_flags: Callable[[], None], main: Callable[[list[str]], int], description: str
) -> NoReturn:
    """Runs a command on this process's arguments and ends the process.

    Args:
      define_flags: defines the command's flags.
      main: takes the program's name and the arguments that are no flags, returns the exit code.
      description: the command's docstring.
    """
    streams.secure()
    _choose_keras()
    _multiply_by_one_thread()
    _say_warnings_plainly()
    others = set(flags.FLAGS)
    define_flags()
    own = [name for name in flags.FLAGS if name not in others]
    if asks_for_help(sys.argv[1:]):
        print(help_text(description, own), end="")
        code = 0
    else:
        code = call(main, sys.argv)
    end(code)


def call(main: Callable[[list[str]], int], argv: Sequence[str]) -> int:
    """Calls a command whose flags are defined; returns its exit code.

    Args:
      main: as for `launch`.
      argv: the program's name and all arguments, flags among them.
    """
    try:
        arguments = flags.FLAGS(list(argv))
    except flags.Error as error:
        print(f"error: {_of_absl(error)} See --help.", file=sys.stderr)
        return 1
    return main(arguments)


def end(code: int) -> NoReturn:
    """Ends the process once what it printed is handed on; with 1 where that is lost.

    Args:
      code: the exit code otherwise.
    """
    lost = streams.finish()
    if lost is not None:
        print(f"error: standard output: {lost.strerror}; lines are lost.", file=sys.stderr)
        code = code or 1
    sys.exit(code)


def _of_absl(error: flags.Error) -> str:
    said = " ".join(str(error).split())
    return said if said.endswith((".", "?")) else f"{said}."


def _choose_keras() -> None:
    """Models are made with Keras 2; TensorFlow from 2.16 on asks for it by this variable alone."""
    if importlib.util.find_spec("tf_keras") is not None:
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


def _multiply_by_one_thread() -> None:
    """NumPy's matrix products here are small, and OpenBLAS's threads spin while they wait.

    On a busy machine that took a hundred times as long as the products. It is read when NumPy is
    imported.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _say_warnings_plainly() -> None:
    """One line for each of this package's own warnings, without the place in its source."""
    usual = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        from tfhific.errors import TfhificWarning

        if issubclass(category, TfhificWarning):
            print(f"warning: {message}", file=sys.stderr)
        else:
            usual(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether one of the arguments, before a `--`, asks what there is."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(argument in _HELP for argument in before)


def help_text(description: str, names: Sequence[str]) -> str:
    """What --help prints: the description, then every flag with its default.

    Args:
      description: a docstring that calls the program by its file's name.
      names: the flags, in this order; a short name beside its long one is passed over.
    """
    lines = [description.strip(), "", "Flags:"]
    for name in names:
        flag = flags.FLAGS[name]
        if name != flag.name:
            continue
        lines.append(f"  {_spelling(flag)}")
        text = f"{_said(flag)} {_default(flag)}".strip()
        lines += textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return in_this_way("\n".join(lines) + "\n", sys.argv[0], short=True)


def _spelling(flag: flags.Flag) -> str:
    if flag.boolean:
        return f"--[no]{flag.name}"
    choices = getattr(flag.parser, "enum_values", None)
    value = "|".join(choices) if choices else _VALUES.get(flag.parser.flag_type(), "TEXT")
    more = ",..." if isinstance(flag.parser, flags.ListParser) else ""
    short = f", -{flag.short_name} {value}" if flag.short_name else ""
    return f"--{flag.name}={value}{more}{short}"


def _said(flag: flags.Flag) -> str:
    """The flag's description without what absl adds to some."""
    text = " ".join(flag.help.split())
    text = re.sub(r"^<[^>]*>: ", "", text)
    return text.partition("; repeat this option")[0]


def _default(flag: flags.Flag) -> str:
    if flag.default is None or flag.default == [] or flag.default == "":
        # Many say in their own words what happens without them.
        return "" if "default" in flag.help or flag.boolean else "Default: none."
    if flag.boolean:
        return f"Default: {'yes' if flag.default else 'no'}."
    default = flag.default
    return f"Default: {','.join(default) if isinstance(default, list) else default}."
