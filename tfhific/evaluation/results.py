"""Rows of `results.csv`: one picture through one codec at one point, and where it was measured."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import Any

from tfhific.errors import TfhificError
from tfhific.files.atomic import write_atomically

_NUMBERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": lambda text: text == "yes",
    "str": str,
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One picture, one codec, one point. NaN is what was not measured.

    Attributes:
      image: path below the data folder.
      image_digest: of the picture's file, SHA-256, 16 hexadecimal digits.
      width: pixels.
      height: pixels.
      codec: label.
      codec_version: model fingerprint and digest of its file, or the library's version.
      target: `bpp:.2` or `psnr:30` where a setting was searched for, else empty.
      setting: the codec's quality, `fixed`, or a joined model's name.
      reached: whether the target was reached.
      bytes: of the whole file.
      bpp: bits per pixel of the whole file.
      psnr: dB, over RGB; infinite for equal pictures.
      psnr_y: dB, luma.
      ms_ssim: 0..1.
      lpips: distance.
      lpips_weights: the name and digest of the file that the distance is from, or empty.
      estimated_bpp: what the float model assigns to the latents.
      encode_seconds: one encoding at this setting, the codec loaded and warmed up.
      decode_seconds: one decoding.
      peak_memory_mib: of a process that loads the codec, encodes and decodes this picture; one
        picture a codec has it.
      versions: of what may change a number.
      command: that asked for it, without folders.
      machine: processor, cores, jobs at once.
    """

    image: str
    image_digest: str
    width: int
    height: int
    codec: str
    codec_version: str
    target: str
    setting: str
    reached: bool
    bytes: int
    bpp: float
    psnr: float
    psnr_y: float
    ms_ssim: float
    lpips: float
    lpips_weights: str
    estimated_bpp: float
    encode_seconds: float
    decode_seconds: float
    peak_memory_mib: float
    versions: str
    command: str
    machine: str

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two rows the same measurement."""
        point = self.target or f"setting:{self.setting}"
        return (self.image, self.image_digest, self.codec, self.codec_version, point)


FIELDS = {field.name: str(field.type) for field in dataclasses.fields(Row)}


def to_csv(rows: Iterable[Row], header: bool = True) -> bytes:
    """A table with a header line and a line per row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if header:
        writer.writerow(FIELDS)
    for row in rows:
        writer.writerow([_text(getattr(row, name)) for name in FIELDS])
    return buffer.getvalue().encode()


def read_rows(path: str | os.PathLike) -> list[Row]:
    """Reads a table that `to_csv` or `append_row` wrote; a last line that was cut is left out.

    Of rows with one key the last counts.

    Raises:
      TfhificError: a file that is another kind of table, or cannot be read.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise TfhificError(f"Cannot read {name!r}: {error.strerror}.") from None
    whole = content[: content.rfind(b"\n") + 1].decode("utf-8", "replace")
    lines = csv.reader(io.StringIO(whole))
    header = next(lines, None)
    if header is None and not content:
        return []
    if header != list(FIELDS):
        raise TfhificError(
            f"{name!r} holds another table: expected the columns {', '.join(list(FIELDS)[:5])}, "
            f"..., received {', '.join((header or ['nothing'])[:5])}, .... Name another `out`, or "
            "`overwrite` it."
        )
    rows = {}
    for number, line in enumerate(lines, 2):
        try:
            row = Row(*(_NUMBERS[kind](_filled(kind, text)) for kind, text in _pairs(line)))
        except ValueError:
            raise TfhificError(
                f"{name!r}, line {number}: expected {len(FIELDS)} values of the kinds that the "
                f"header names. Received: {','.join(line)[:200]!r}. Take the line out, or "
                "`overwrite` the table."
            ) from None
        rows[row.key] = row
    return list(rows.values())


def write_rows(path: str | os.PathLike, rows: Iterable[Row]) -> None:
    """Replaces a table, in one step."""
    write_atomically(path, to_csv(rows), overwrite=True)


def append_row(path: str | os.PathLike, row: Row) -> None:
    """Adds a row to a table in one write, so that a stopped evaluation loses none before it."""
    with open(path, "ab", buffering=0) as stream:
        stream.write(to_csv([row], header=False))


def describe_versions() -> str:
    """Versions of what may change a number, as `name version, ...`."""
    found = [f"Python {platform.python_version()}"]
    for name in ("tfhific", "tensorflow", "tensorflow-compression", "numpy", "pillow"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            if name == "tfhific":
                found.append("tfhific from its sources")
    return ", ".join(found)


def describe_machine(jobs: int = 1) -> str:
    """Processor and cores, and how many jobs ran at once; no names of hosts or people."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            models = [line.partition(":")[2] for line in stream if line.startswith("model name")]
        model = " ".join(models[0].split()) if models else model
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, {jobs} job{'s' * (jobs > 1)}"


def describe_command(arguments: Sequence[str]) -> str:
    """A command line whose paths are reduced to their last part."""
    return " ".join(_without_folders(argument) for argument in arguments)


def _without_folders(argument: str) -> str:
    # Paths stand alone, after "=", in lists of codecs between "," and "+", and around an effort.
    pieces = re.split(r"([=,+]|@[1-9](?:@|(?=[,+])|$))", argument)
    return "".join(
        os.path.basename(os.path.normpath(piece)) if os.sep in piece else piece for piece in pieces
    )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return str(value)


def _pairs(line: list[str]) -> list[tuple[str, str]]:
    if len(line) != len(FIELDS):
        raise ValueError("a line of another length")
    return list(zip(FIELDS.values(), line))


def _filled(kind: str, text: str) -> str:
    return "nan" if kind == "float" and not text else text
