"""The programs tfh-compress and tfh-decompress: options, files, messages and exit codes."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import secrets
import stat
import sys
from collections.abc import Sequence

import tfh_client

MAX_INPUT_BYTES = 1 << 30
_PICTURES = {
    *(".avif", ".bmp", ".gif", ".heic", ".jfif", ".jpe", ".jpeg", ".jpg"),
    *(".png", ".tif", ".tiff", ".webp"),
}
_HEADER = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*([\x20-\x7e]*?)\s*")


class FileError(Exception):
    """A file can't be read or written, or is not to be."""


def check_output(source: str, destination: str, wanted: str, options: argparse.Namespace) -> None:
    """Refuses an output before any work is done for it.

    Args:
      source, destination: paths.
      wanted: the ending of what will be written, ".tfh" or ".png".
      options: has `overwrite` and `force_name`.

    Raises:
      FileError: the output is the input, is there already, has the name of something else, or
        lies in no folder.
    """
    ending = os.path.splitext(destination)[1].lower()
    if ending != wanted and ending in _PICTURES | {".tfh"} and not options.force_name:
        raise FileError(
            f"{destination}: expected a name that ends in {wanted}, which is what is written; "
            "--force_name takes this one"
        )
    folder = os.path.dirname(os.path.realpath(destination))
    if not os.path.isdir(folder):
        raise FileError(f"{destination}: the folder {folder} is not there; make it first")
    if os.path.isdir(destination):
        raise FileError(f"{destination}: expected the name of a file, received a folder")
    if not os.path.exists(destination):
        return
    if os.path.exists(source) and os.path.samefile(source, destination):
        raise FileError(f"{destination}: is the input itself; name another output")
    if not options.overwrite and stat.S_ISREG(os.stat(destination).st_mode):
        raise FileError(f"{destination}: is there already; --overwrite replaces it")


def read(path: str) -> bytes:
    """A whole file, or what comes out of a pipe."""
    with _named(path), open(path, "rb") as file:
        data = file.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise FileError(f"{path}: expected at most {MAX_INPUT_BYTES} bytes, received more")
    return data


def write(path: str, data: bytes, overwrite: bool) -> None:
    """Writes a file whole or not at all; to pipes and devices directly."""
    target = os.path.realpath(path)
    with _named(path):
        if os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
            with open(target, "wb") as file:
                file.write(data)
            return
        temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.tmp")
        try:
            # Not tempfile: this way the permissions are what the user's umask says.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            if overwrite or not _linked(temporary, target):
                os.replace(temporary, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _linked(temporary: str, target: str) -> bool:
    """Gives a file its name unless another has got it meanwhile; False where links are unknown."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _named(path: str):
    try:
        yield
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= tfh_client.MAX_TIMEOUT:
        raise argparse.ArgumentTypeError(f"expected seconds, more than 0, received {text}")
    return value


def _quality(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 8, received {text}")
    return value


def parse_headers(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Headers of `NAME: VALUE`, or of `@FILE` with one such a line; raises FileError."""
    lines = []
    for text in texts:
        if text.startswith("@"):
            held = read(text[1:]).decode("utf-8", "replace").splitlines()
            lines.extend((text, line) for line in held if line.strip())
        else:
            lines.append(("--header", text))
    found = [(place, _HEADER.fullmatch(line)) for place, line in lines]
    for place, match in found:
        if match is None:
            # Not what came: it may be a secret.
            raise FileError(f"{place}: expected NAME: VALUE in ASCII")
    return [(match[1], match[2]) for _, match in found]


def _parser(compressing: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfh-compress" if compressing else "tfh-decompress", allow_abbrev=False
    )
    parser.add_argument("input", metavar="IN")
    parser.add_argument("output", metavar="OUT")
    parser.add_argument(
        "--server",
        default=os.environ.get("TFH_SERVER", "localhost:8500"),
        help="HOST:PORT for gRPC, http://HOST:PORT or https://... for REST; default: the variable "
        "TFH_SERVER, or localhost:8500",
    )
    parser.add_argument("--model_name", default="mini", help="name the model is served under")
    if compressing:
        parser.add_argument("--quality", type=_quality, help="1 to 8; default: the model's")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=tfh_client.DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="how long the whole answer may take; default: %(default)g",
    )
    parser.add_argument(
        "--tls", action="store_true", help="gRPC over TLS; REST has it by an https:// address"
    )
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="certificates (PEM) that the server's is checked against, with TLS; default: those "
        "of the system",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="goes with the request, such as 'Authorization: Bearer ...'; @FILE: of the lines of a "
        "file, which other users can't see in the list of processes; may be repeated",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    parser.add_argument(
        "--force_name", action="store_true", help="take OUT even if its ending means another kind"
    )
    return parser


def main(compressing: bool, arguments: list[str] | None = None) -> int:
    """The two programs; returns an exit code: 0, 1 for what went wrong, 130 for an interruption."""
    options = _parser(compressing).parse_args(arguments)
    # TensorFlow's notices are not the user's business.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        check_output(options.input, options.output, ".tfh" if compressing else ".png", options)
        data = read(options.input)
        headers = parse_headers(options.header)
        client = tfh_client.client_for(
            options.server, options.model_name, options.timeout, headers, options.tls, options.ca
        )
        if compressing:
            result = tfh_client.compress(client, data, options.quality)
        else:
            result = tfh_client.decompress(client, data)
        write(options.output, result, options.overwrite)
    except FileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except tfh_client.ServingError as error:
        print(f"error: {options.input}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted, nothing was written", file=sys.stderr)
        return 130
    return 0
