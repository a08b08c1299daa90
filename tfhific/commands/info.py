"""Says what a .tfh file holds, without decoding it: info.py FILE."""

from __future__ import annotations

import json
import sys

from absl import flags

from tfhific.commands import common, launcher

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_bool("json", False, "Print one JSON object.")


def facts_of(data: bytes) -> dict:
    """What the file says, JSON values."""
    from tfhific import zoo
    from tfhific.bitstream import container
    from tfhific.errors import BitstreamError
    from tfhific.published.store import kind_of, read_description

    contents = container.unpack(data, max_pixels=sys.maxsize)
    try:
        description = read_description(zoo.find_by_fingerprint(contents.fingerprint))
    except BitstreamError:
        description = {"name": None}
    single_rate = kind_of(description).says_one_rate(description)
    return {
        "format_version": contents.version,
        "model": description["name"],
        "fingerprint": contents.fingerprint.hex(),
        "width": contents.width,
        "height": contents.height,
        "quality": None if single_rate else round(contents.quality, 4),
        "bytes": len(data),
        "bpp": round(8 * len(data) / (contents.width * contents.height), 4),
        "latents_bytes": len(contents.y),
        "latents_streams": contents.y_streams,
        "band_rows": contents.band_rows,
        "hyperlatents_bytes": len(contents.z),
        "hyperlatents_streams": contents.z_streams,
        "alpha_bytes": len(contents.alpha or b""),
        "icc_bytes": len(contents.icc or b""),
        "exif_bytes": len(contents.exif or b""),
        "label_map_bytes": len(contents.labels or b""),
        "kept_region_bytes": len(contents.kept or b""),
    }


def info(argv: list[str]) -> int:
    from tfhific.errors import BitstreamError, TfhificError
    from tfhific.files.jobs import read_bytes

    if len(argv) != 2:
        raise TfhificError("Expected one argument, a .tfh file. See --help.")
    data = read_bytes(argv[1])
    try:
        facts = facts_of(data)
    except BitstreamError as error:
        raise BitstreamError(f"{argv[1]}: {error}") from None
    if FLAGS.json:
        print(json.dumps({"input": argv[1], **facts}))
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        missing = {"model": "not among the known models", "quality": "the model has one rate"}
        shown = missing[name] if value is None else value
        print(f"{name.replace('_', ' '):{width}}  {shown}")
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: info(argv), argv, positional=1)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
