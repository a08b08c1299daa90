"""Compresses images: compress.py IN [OUT] [--quality=1..8 | --target_bpp=B | --target_bytes=N].

IN is an image, a folder of images, or - for standard input; OUT a .tfh file, a folder, or -. Many
images go into one folder by `compress.py IN... -o FOLDER`.
In a folder a.jpg gives a.tfh; pictures that differ in their ending alone give a.jpg.tfh, a.png.tfh.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from absl import flags

from tfhific.commands import common, launcher, paths, runtime
from tfhific.commands.quality import define_quality

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("model", "mini", "Name or folder of the model.")
    define_quality(None, "; default 5.")
    flags.DEFINE_float("target_bpp", None, "Largest quality within so many bits per pixel.")
    flags.DEFINE_integer("target_bytes", None, "Largest quality within so many bytes.")
    flags.DEFINE_integer(
        "effort", 1, "1 (fastest) to 9 (smallest files, minutes): see docs/effort.md."
    )
    flags.DEFINE_bool("verify", False, "Decode each file again and compare before writing it.")
    flags.DEFINE_bool("strip", False, "Leave out the ICC profile and EXIF; alpha stays.")
    paths.define_path("labels", None, "Label map of the picture, or folder of such (gc, sc).")
    flags.DEFINE_list("keep", [], "Classes to keep, by name or number (sc): person,car.")
    flags.DEFINE_multi_string("keep_box", [], "Box to keep (sc): left,top,width,height; repeat.")
    flags.DEFINE_integer("label", None, "The picture's class (cgan); default: whichever fits.")
    flags.DEFINE_integer("bits", None, "Bits a value of z (inversion, cgan), 1 to 8; default 4.")
    flags.DEFINE_integer("search_steps", None, "Steps of the search for z; default 300.")
    flags.DEFINE_integer("restarts", None, "Starts of the search at once; default 4.")
    flags.DEFINE_string("search_loss", None, "mse, ms_ssim or lpips; default mse.")
    paths.define_path(
        "lpips", None, "File of LPIPS weights, for --search_loss=lpips or an --effort of 5 to 9."
    )
    common.define_file_flags()


def _check_flags() -> None:
    from tfhific.errors import TfhificError

    if FLAGS.effort != 1:
        from tfhific.codec import effort

        effort.checked(FLAGS.effort)
    given = [n for n in ("quality", "target_bpp", "target_bytes") if FLAGS[n].value is not None]
    if len(given) > 1:
        raise TfhificError(f"Expected one of --{' and --'.join(given)}, not several.")
    for name in given:
        if name != "quality" and not FLAGS[name].value > 0:
            raise TfhificError(f"--{name}: expected a positive number. Got {FLAGS[name].value}.")


def _requests():
    from tfhific.codec.side_information import Requests

    names = {"bits": "bits", "steps": "search_steps", "restarts": "restarts", "loss": "search_loss"}
    search = {field: FLAGS[flag].value for field, flag in names.items()}
    search = {field: value for field, value in search.items() if value is not None}
    kept = tuple(FLAGS.keep), tuple(FLAGS.keep_box)
    return Requests(FLAGS.labels, *kept, FLAGS.label, search, FLAGS.lpips)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[dict]:
    """Options that show on a terminal how far a picture is; they are for an effort above 1."""
    from tqdm import tqdm

    if FLAGS.effort == 1:
        yield {}
        return
    with tqdm(desc=name, unit="step", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(done: int, total: int) -> None:
            if done == 1:
                bar.reset(total)
            bar.update(done - bar.n)

        yield {"effort": FLAGS.effort, "progress": show}


def _compress(codec, picture, side: dict) -> bytes:
    """The file, at the quality or within the bound that the flags say."""
    if FLAGS.target_bpp is None and FLAGS.target_bytes is None:
        return codec.compress_picture(picture, FLAGS.quality, **side)
    bounds = {"max_bytes": FLAGS.target_bytes, "max_bpp": FLAGS.target_bpp}
    return codec.compress_to(picture, **bounds, **side)


def _passes() -> int:
    """How often a picture goes through the networks, about."""
    from tfhific.codec import rate_search

    searched = FLAGS.target_bpp is not None or FLAGS.target_bytes is not None
    return (rate_search.FILES if searched else 1) + (3 if FLAGS.verify else 0)


def _work(codec, job) -> dict:
    from tfhific.codec.side_information import side_information
    from tfhific.errors import named
    from tfhific.files.atomic import write_atomically
    from tfhific.files.jobs import unchanged
    from tfhific.pictures.images import read_picture

    common.refuse_existing(job.destination, FLAGS.overwrite)
    started = time.perf_counter()
    facts = {}
    with unchanged(job.source):
        picture = read_picture(job.source, FLAGS.max_pixels)
        if FLAGS.strip:
            picture = picture.stripped()
        with named(job.source):
            height, width = picture.pixels.shape[:2]
            side = side_information(codec, _requests(), job.source, (height, width))
            with _progress(job.source) as effort:
                data = _compress(codec, picture, {**side, **effort})
        if FLAGS.verify:
            facts["psnr"] = _verified(codec, data, picture, job.source)
    quality = codec.quality_of(data)
    write_atomically(job.destination, data, overwrite=FLAGS.overwrite)
    height, width = picture.pixels.shape[:2]
    return {
        "width": width,
        "height": height,
        "bytes": len(data),
        "bpp": round(8 * len(data) / (width * height), 4),
        "quality": None if quality is None else round(quality, 4),
        "model": codec.name,
        "seconds": round(time.perf_counter() - started, 3),
        **facts,
    }


def _verified(codec, data: bytes, picture, name: str) -> float | None:
    """The PSNR in decibels of what a file decodes to; None where that is the picture itself."""
    import numpy as np

    from tfhific.errors import TfhificError
    from tfhific.evaluation.metrics import psnr

    try:
        decoded = codec.verify(data, picture, FLAGS.effort, FLAGS.lpips)
    except TfhificError as error:
        raise type(error)(f"{name}: {str(error).rstrip('.')}; not written.") from None
    value = psnr(picture.pixels, decoded.pixels)
    return round(value, 3) if np.isfinite(value) else None


def _line(facts: dict) -> str:
    quality = "" if facts["quality"] is None else f", quality {facts['quality']:.2f}"
    text = (
        f"{facts['input']} -> {facts['output']}: {facts['width']}x{facts['height']}, "
        f"{facts['bytes']:,} bytes, {facts['bpp']:.3f} bits per pixel{quality}, "
        f"{facts['seconds']:.2f} s"
    )
    return text + (f", PSNR {facts['psnr']:.2f} dB, verified" if facts.get("psnr") else "")


def _check_effort(codec) -> None:
    from tfhific.codec import effort

    if FLAGS.effort != effort.DEFAULT:
        codec.harder()
    if "search" not in codec.needs:
        effort.check_perception(FLAGS.effort, FLAGS.lpips)
    if FLAGS.lpips is not None:
        from tfhific.losses.lpips_weights import read_weights

        read_weights(FLAGS.lpips, False)


def compress(argv: list[str]) -> int:
    from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS, refuse_other_kind

    _check_flags()
    options = common.codec_options()
    planned = common.plan_files(
        argv,
        extensions=IMAGE_EXTENSIONS,
        suffix=CODED_EXTENSION,
        check_name=lambda name: refuse_other_kind(name, [CODED_EXTENSION], "a compressed picture"),
        beside=(FLAGS.labels, FLAGS.lpips, FLAGS.model),
    )

    import tfhific

    codec = None
    if planned.to_do:  # a folder that is done already takes no seconds to start
        if FLAGS.effort == 1:  # any other takes gradients
            options["runtime"] = runtime.for_job(FLAGS.runtime, planned, _passes())
        codec = tfhific.load(FLAGS.model, starting=runtime.start, **options)
        _check_effort(codec)  # refused once, rather than for each file
    return common.run_files(planned, lambda job: _work(codec, job), _line, argv[1])


def main(argv: list[str]) -> int:
    return common.guarded(lambda: compress(argv), argv)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
