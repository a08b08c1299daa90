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

_WIDTH = 88
_HELP = ("--help", "-help", "-h", "--h", "-?", "--helpshort", "--helpfull")
_VALUES = {"float": "NUMBER", "int": "INTEGER", "bool": "", "path": "PATH"}


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
    _say_warnings_plainly()
    others = set(flags.FLAGS)
    define_flags()
    own = [name for name in flags.FLAGS if name not in others]
    if asks_for_help(sys.argv[1:]):
        print(help_text(description, own), end="")
        code = 0
    else:
        try:
            arguments = flags.FLAGS(sys.argv)
        except flags.Error as error:
            print(f"error: {' '.join(str(error).split())} See --help.", file=sys.stderr)
            code = 1
        else:
            code = main(arguments)
    lost = streams.finish()
    if lost is not None:
        print(f"error: standard output: {lost.strerror}; lines are lost.", file=sys.stderr)
        code = code or 1
    sys.exit(code)


def _choose_keras() -> None:
    """Models are made with Keras 2; TensorFlow from 2.16 on asks for it by this variable alone."""
    if importlib.util.find_spec("tf_keras") is not None:
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


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
      names: the flags, in this order.
    """
    program = os.path.basename(sys.argv[0])
    script = os.path.splitext(program.removeprefix("tfhific-"))[0].replace("-", "_")
    lines = [description.strip().replace(f"{script}.py", program), "", "Flags:"]
    for name in names:
        flag = flags.FLAGS[name]
        lines.append(f"  --{_spelling(flag)}")
        text = f"{_said(flag)} {_default(flag)}".strip()
        lines += textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines) + "\n"


def _spelling(flag: flags.Flag) -> str:
    if flag.boolean:
        return f"[no]{flag.name}"
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        return f"{flag.name}={'|'.join(choices)}"
    value = _VALUES.get(flag.parser.flag_type(), "TEXT")
    return f"{flag.name}={value}{',...' if isinstance(flag.parser, flags.ListParser) else ''}"


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
