"""Runs programs written for tensorflow-compression as they are.

    python -m tfc_port run [--api=auto|1|2] program.py [ARGUMENTS]
    python -m tfc_port run [--api=auto|1|2] -m module [ARGUMENTS]
    python -m tfc_port convert SOURCE DESTINATION

In the program `import tensorflow_compression` finds the port. The API is that of TFC 1.3 where the
program, or another one in its folder, uses names that only this has, and that of 2.14 otherwise;
`--api` says which. `convert` is `python -m tfc_port.convert`.
"""

from __future__ import annotations

import pathlib
import re
import runpy
import sys
from collections.abc import Sequence

from tfc_port import _names
from tfc_port._alias import install

_MOST_FILES = 500
_MOST_BYTES = 1 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line says, and returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if arguments else 2
    command, *rest = arguments
    if command == "convert":
        from tfc_port import convert

        return convert.main(rest)
    if command != "run":
        return _fail(f"expected `run` or `convert`. Received: {command!r}.")
    api = "auto"
    if rest and rest[0].startswith("--api="):
        api = rest.pop(0).partition("=")[2]
    if api not in ("auto", "1", "2"):
        return _fail(f"--api must be auto, 1 or 2. Received: {api!r}.")
    if not rest or rest == ["-m"]:
        return _fail("expected a program. Received: none.")
    return _run_module(api, *rest[1:]) if rest[0] == "-m" else _run_file(api, *rest)


def _run_file(api: str, program: str, *arguments: str) -> int:
    path = pathlib.Path(program)
    if not path.is_file():
        return _fail(f"expected a program's file. Received: {program}, which is none.")
    install(_version(api, [path, *sorted(path.parent.rglob("*.py"))[:_MOST_FILES]]))
    sys.argv = [program, *arguments]
    sys.path[0] = str(path.resolve().parent)
    runpy.run_path(program, run_name="__main__")
    return 0


def _run_module(api: str, module: str, *arguments: str) -> int:
    folder = pathlib.Path.cwd() / module.split(".")[0]
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else sorted(pathlib.Path().glob("*.py"))
    install(_version(api, files[:_MOST_FILES]))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


def _version(api: str, files: Sequence[pathlib.Path]) -> int:
    """Which API these programs are written for."""
    if api != "auto":
        return int(api)
    only_in_1 = set(_names.V1) - set(_names.ALL)
    pattern = re.compile(r"\b(" + "|".join(sorted(only_in_1)) + r")\b")
    for path in files:
        try:
            with path.open("rb") as file:
                text = file.read(_MOST_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        found = pattern.search(text) if "tensorflow_compression" in text or "tfc." in text else None
        if found:
            print(f"tfc_port: TFC 1's API, because of {found[0]} in {path}", file=sys.stderr)
            return 1
    return 2


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
