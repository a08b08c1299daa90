#!/usr/bin/env python3
"""Measures a model against JPEG on a folder: evaluate.py --data=DIR [--model=mini] [--out=CSV]."""

from __future__ import annotations

import os
import sys

from absl import app, flags

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bin import common

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_string("data", None, "Folder of images (searched recursively) or a glob.")
    flags.DEFINE_string("model", "mini", "Name or folder of the model.")
    flags.DEFINE_list("qualities", ["1", "2", "3", "4", "5", "6", "7", "8"], "Qualities.")
    flags.DEFINE_list(
        "jpeg_qualities", ["5", "8", "12", "17", "25", "35", "50", "65", "78", "88"], "Of JPEG."
    )
    flags.DEFINE_string("out", None, "CSV file with a row per image and point.")
    flags.DEFINE_bool("overwrite", False, "Replace the CSV file.")
    flags.DEFINE_bool(
        "branch_cost", False, "Measure what integer scales cost in bits, and no more."
    )


def _numbers(name: str, kind) -> list:
    from tfhific.errors import TfhificError

    try:
        return [kind(value) for value in FLAGS[name].value]
    except ValueError as error:
        raise TfhificError(f"--{name}: expected numbers ({error}).") from None


def _branch_cost(model, paths: list[str], qualities: list[float]) -> int:
    from tfhific.codec.images import read_picture
    from tfhific.evaluation.branch_cost import branch_cost

    for quality in qualities:
        pairs = [branch_cost(model, read_picture(path).pixels, quality) for path in paths]
        integer, real = (sum(column) for column in zip(*pairs))
        print(
            f"quality {quality:g}: {integer / 8:,.0f} bytes by the integer branch, "
            f"{100 * (integer / real - 1):+.4f} % against the float one, {len(paths)} images"
        )
    return 0


def evaluate() -> int:
    from tfhific.errors import TfhificError

    if not FLAGS.data:
        raise TfhificError("--data is needed. See --help.")
    qualities, settings = _numbers("qualities", float), _numbers("jpeg_qualities", int)
    if not all(1 <= quality <= 8 for quality in qualities):
        raise TfhificError(f"--qualities: expected numbers from 1 to 8. Received: {qualities}.")
    if not all(1 <= setting <= 100 for setting in settings):
        raise TfhificError(f"--jpeg_qualities: expected 1 to 100. Received: {settings}.")
    if FLAGS.out:
        common.refuse_existing(FLAGS.out, FLAGS.overwrite)

    from tqdm import tqdm

    import tfhific
    from tfhific.codec.atomic import write_atomically
    from tfhific.data.folders import list_images
    from tfhific.evaluation import rate_distortion as rd

    common.start_tensorflow()
    paths = list_images(FLAGS.data)
    codec = tfhific.load(FLAGS.model)
    if FLAGS.branch_cost:
        return _branch_cost(codec.published, paths, qualities)
    total = len(paths) * (len(qualities) + len(settings))
    with tqdm(total=total, unit="file", leave=False, disable=not sys.stderr.isatty()) as bar:
        points = []
        for source in (
            rd.measure_model(codec, paths, qualities),
            rd.measure_jpeg(paths, settings),
        ):
            for point in source:
                points.append(point)
                bar.update()
    if FLAGS.out:
        write_atomically(FLAGS.out, rd.to_csv(points), overwrite=FLAGS.overwrite)
    for name in (codec.name, "jpeg"):
        print(f"{name}, means over {len(paths)} images")
        print(f"{'setting':>9}{'bpp':>9}{'PSNR':>9}{'MS-SSIM':>9}")
        for setting, bpp, quality, similarity in rd.curve(points, name):
            print(f"{setting:>9g}{bpp:>9.4f}{quality:>9.3f}{similarity:>9.4f}")
    own = [point for point in points if point.codec == codec.name]
    worst = max(own, key=lambda p: p.bytes - _allowed(p))
    print(
        f"files over 1.01 x estimate + 64 bytes: {sum(p.bytes > _allowed(p) for p in own)} of "
        f"{len(own)}; closest: {worst.bytes - _allowed(worst):.0f} bytes ({worst.image} at "
        f"quality {worst.setting:g})"
    )
    difference, low, high = rd.bjontegaard_rate(
        rd.curve(points, "jpeg"), rd.curve(points, codec.name)
    )
    print(
        f"Bjontegaard rate difference of {codec.name} against JPEG (4:2:0, optimised), PSNR over "
        f"RGB: {difference:+.1f} % over {low:.2f} to {high:.2f} dB"
    )
    return 0


def _allowed(point) -> float:
    """1.01 x the float model's estimate, plus 64 bytes."""
    return 1.01 * point.estimated_bpp * point.bytes / point.bpp + 64


def main(argv: list[str]) -> int:
    return common.guarded(evaluate, argv, positional=0)


def run() -> None:
    define_flags()
    app.run(main)


if __name__ == "__main__":
    run()
