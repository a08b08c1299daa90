"""Writes the exact packages of a requirements file with their hashes: lock.py REQUIREMENTS OUT.

    .venv/bin/python tools/lock.py requirements.txt requirements-locked-3.11.txt
    .venv-latest/bin/python tools/lock.py requirements-latest.txt requirements-locked-3.13.txt

Run by the Python, and on the kind of machine, that the packages are for: the hashes are those of
the files that pip chose there. pip installs nothing else from the result:

    pip install --require-hashes --only-binary=:all: -r requirements-locked-3.11.txt
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys

_COMMAND = (
    *("-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
    *("--only-binary=:all:", "--report=-", "--requirement"),
)


def report_of(requirements: str) -> dict:
    """What pip would install for a file of requirements into an empty environment."""
    command = [sys.executable, *_COMMAND, requirements]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def locked(report: dict) -> list[str]:
    """A line for each package of pip's report, by name, with its file's SHA-256.

    Raises:
      ValueError: a package did not come as a file with a hash, such as one from a repository.
    """
    lines = {}
    for item in report["install"]:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        digest = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest is None:
            raise ValueError(f"{name}: expected a file with a SHA-256, received none")
        lines[name] = f"{name}=={item['metadata']['version']} --hash=sha256:{digest}"
    return [lines[name] for name in sorted(lines)]


def main(arguments: list[str]) -> int:
    """Writes the file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("requirements", help="file of requirements")
    parser.add_argument("out", help="file to write")
    options = parser.parse_args(arguments)
    requirements, out = options.requirements, options.out
    try:
        lines = locked(report_of(requirements))
    except subprocess.CalledProcessError as error:
        print(f"error: pip could not say what {requirements} comes to.", file=sys.stderr)
        return error.returncode
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    version = ".".join(platform.python_version_tuple()[:2])
    head = f"# {requirements} on {platform.system()} {platform.machine()}, Python {version}; by "
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join([head + "tools/lock.py.", *lines]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
