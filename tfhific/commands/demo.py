"""Compresses a picture, decompresses it, and puts it beside JPEG, WebP and AVIF: demo.py [IMAGE].

Without IMAGE it takes the photograph that ships inside matplotlib. Where results of that name are
there already, new ones get a number. `--decoder` names another decoder for the model's files, whose
picture is shown too: `realistic`, where the model is `mini` and nothing else is said.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from tfhific.commands import common, launcher, paths
from tfhific.commands.quality import define_quality

if TYPE_CHECKING:
    import numpy as np

    from tfhific.codec.base import Codec

FLAGS = flags.FLAGS

_RIVALS = {"JPEG": "JPEG", "WEBP": "WebP", "AVIF": "AVIF"}
"""What it is compared with, by Pillow's names."""

_REALISTIC = "realistic"
_OUTPUTS = (".tfh", ".decoded.png", ".comparison.png")
_ANOTHER = ".another.png"
"""What the other decoder makes of the file."""


def define_flags() -> None:
    paths.define_path("model", "mini", "Name or folder of the model.")
    paths.define_path(
        "decoder",
        None,
        "Name or folder of a model with another decoder for the same files, to show beside it; "
        "default: realistic, of mini.",
    )
    define_quality(None, "; default 3.")
    paths.define_path("out", "out", "Folder for the results.", short_name="o")


def _sample() -> str:
    from tfhific.errors import TfhificError

    try:
        import matplotlib
    except ModuleNotFoundError:
        raise TfhificError(
            "Name a picture (see --help): the photograph for those who name none comes with "
            "matplotlib, which is not installed."
        ) from None
    return os.path.join(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")


def _free_stem(stem: str) -> str:
    """The beginning of names that no file has yet: `stem` itself, or `stem-2` and so on."""
    numbered = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    return next(
        free
        for free in numbered
        if not any(os.path.lexists(free + end) for end in (*_OUTPUTS, _ANOTHER))
    )


def _sheet(pictures: list[np.ndarray], captions: list[str]) -> np.ndarray:
    """One image with captioned pictures of one size, three in a row; uint8 [height, width, 3]."""
    import numpy
    from PIL import Image, ImageDraw

    gap, strip, columns = 8, 24, min(len(pictures), 3)
    height, width = (side + gap for side in pictures[0].shape[:2])
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width - gap, rows * (height + strip) - gap), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (pixels, caption) in enumerate(zip(pictures, captions)):
        left, top = number % columns * width, number // columns * (height + strip)
        sheet.paste(Image.fromarray(pixels), (left, top + strip))
        draw.text((left + 4, top + 6), caption, fill="black")
    return numpy.asarray(sheet)


def _beside(pixels: np.ndarray, most: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """Its name, bytes and pixels as each of the codecs in Pillow makes them of so many bytes."""
    from tfhific.evaluation import classical

    encoders = classical.available()
    for kind, name in _RIVALS.items():
        if kind not in encoders:
            print(f"({name} is left out: this build of Pillow writes none.)")
            continue
        found = classical.at_size(encoders[kind], pixels, most)
        if not found.fits(most):
            print(f"({name} can't be as small as {most:,} bytes: this is its smallest file.)")
        yield f"{name} quality {found.setting}", len(found.data), classical.decode(found.data)


def _another(codec: Codec) -> Codec | None:
    """The codec with another decoder for the files of `codec`, where one is named or ships."""
    import tfhific
    from tfhific import zoo
    from tfhific.errors import ModelError, TfhificError

    if FLAGS.decoder is None and FLAGS.model != "mini":
        return None
    try:
        folder = zoo.find_by_name(FLAGS.decoder or _REALISTIC)
    except ModelError:
        if FLAGS.decoder is None:
            return None  # The wheel is without it.
        raise
    another = tfhific.load(folder)
    if another.fingerprint != codec.fingerprint:
        if FLAGS.decoder is None:
            return None  # `mini` is a model of the user's.
        raise TfhificError(
            f"{another.name} is no decoder for files of {codec.name}: it reads the streams of "
            f"{another.fingerprint.hex()}. Expected those of {codec.fingerprint.hex()}."
        )
    return another


def demo(argv: list[str]) -> int:
    import tfhific
    from tfhific.evaluation.metrics import ms_ssim, psnr
    from tfhific.files.atomic import write_atomically
    from tfhific.files.jobs import ensure_folder
    from tfhific.pictures.images import read_picture, write_image

    source = argv[1] if len(argv) > 1 else _sample()
    stem = _free_stem(os.path.join(FLAGS.out, os.path.splitext(os.path.basename(source))[0]))
    picture = read_picture(source)
    common.start_tensorflow()
    ensure_folder(FLAGS.out)
    codec = tfhific.load(FLAGS.model)
    another = _another(codec)
    asked = 3.0 if FLAGS.quality is None and not codec.rates.single else FLAGS.quality
    codec.compress(picture.pixels[:64, :64], asked)  # The first call loads kernels.

    started = time.perf_counter()
    data = codec.compress_picture(picture, asked)
    encoded = time.perf_counter()
    write_atomically(stem + ".tfh", data)
    with open(stem + ".tfh", "rb") as file:
        data = file.read()
    started_decoding = time.perf_counter()
    decoded = codec.decompress_picture(data)
    seconds = encoded - started, time.perf_counter() - started_decoding
    write_image(decoded, stem + ".decoded.png", overwrite=False)

    height, width = picture.pixels.shape[:2]
    own = [(codec.name, decoded.pixels)]
    if another is not None:
        redecoded = another.decompress_picture(data)
        write_image(redecoded, stem + _ANOTHER, overwrite=False)
        own.append((another.name, redecoded.pixels))
    rivals = [(name, len(data), pixels) for name, pixels in own]
    rivals += _beside(picture.pixels, len(data))
    print(f"{source}: {width}x{height}, {os.path.getsize(source):,} bytes")
    column = max(18, *(len(name) + 1 for name, _, _ in rivals))
    print(f"{'':{column}}{'bytes':>9}{'ratio':>8}{'bits/pixel':>12}{'PSNR':>10}{'MS-SSIM':>9}")
    captions = ["original"]
    for name, size, pixels in rivals:
        quality, similarity = psnr(picture.pixels, pixels), ms_ssim(picture.pixels, pixels)
        bpp = 8 * size / (width * height)
        print(
            f"{name:{column}}{size:>9,}{3 * width * height / size:>7.0f}x{bpp:>12.3f}"
            f"{quality:>7.2f} dB{similarity:>9.4f}"
        )
        captions.append(f"{name}: {size:,} bytes, {quality:.2f} dB")
    print(f"encoded in {seconds[0]:.2f} s, decoded in {seconds[1]:.2f} s")
    sheet = _sheet([picture.pixels, *(pixels for _, _, pixels in rivals)], captions)
    write_image(sheet, stem + ".comparison.png", overwrite=False)
    for suffix in (*_OUTPUTS, *([] if another is None else [_ANOTHER])):
        print(f"wrote {stem}{suffix}")
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: demo(argv), argv, positional=1)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
