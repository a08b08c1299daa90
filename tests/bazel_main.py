"""Runs one test file under Bazel, in the virtual environment that bin/test made."""

from __future__ import annotations

import importlib.util
import os
import sys


def _python() -> str:
    if importlib.util.find_spec("tensorflow") and importlib.util.find_spec("pytest"):
        return sys.executable
    # Bazel's tree holds links to the real files: what they point to shows where the checkout is.
    checkout = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    for name in (".venv", ".venv-latest"):
        python = os.path.join(checkout, name, "bin", "python")
        if os.path.exists(python):
            return python
    sys.exit(f"Expected a virtual environment in {checkout}: run bin/test once, it makes one.")


def main() -> None:
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    os.chdir(here)
    python = _python()
    report = os.environ.get("XML_OUTPUT_FILE")
    options = [f"--junitxml={report}"] if report else []
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", *options, *sys.argv[1:]]
    # A file whose tests are all left out by their markers (exit code 5) has nothing to fail here.
    status = os.spawnv(os.P_WAIT, python, command)
    sys.exit(0 if status == 5 else status)


if __name__ == "__main__":
    main()
