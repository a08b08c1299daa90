#!/usr/bin/env python3
"""Searches for bytes that a reader stumbles over, led by coverage: run.py TARGET [--seconds=N].

Needs atheris (requirements-fuzzing.txt). It starts from tests/fuzzing/corpus/TARGET, prints
libFuzzer's notes, and exits with 0 when the time is up without a find. A find's bytes are written
to the folder of --keep, and its traceback is printed.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
NAMES = ("container", "payload", "model", "label_map", "pickle", "picture")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=300, help="how long to search")
    parser.add_argument("--seed", type=int, default=0, help="0: another one every time")
    parser.add_argument("--keep", default="out/fuzzing", help="folder for finds")
    parser.add_argument("--found", help="folder that keeps inputs with new coverage")
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        parser.exit(
            2, "error: expected the package atheris: pip install -r requirements-fuzzing.txt\n"
        )
    with atheris.instrument_imports(include=["tfhific", "tfc_port"]):
        from tests.fuzzing.targets import TARGETS

    os.makedirs(options.keep, exist_ok=True)
    found = options.found or tempfile.mkdtemp(prefix="fuzzing-")
    os.makedirs(found, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={options.seconds}",
            f"-seed={options.seed}",
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-max_len=4096",
            "-print_final_stats=1",
            f"-artifact_prefix={options.keep}/{options.target}-",
            found,
            str(HERE / "corpus" / options.target),
        ],
        TARGETS[options.target],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
