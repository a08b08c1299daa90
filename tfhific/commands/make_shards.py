"""Packs images into TFRecord shards for training: make_shards.py FOLDER_OR_GLOB OUT_DIR."""

from __future__ import annotations

import sys

from absl import flags

from tfhific.commands import common, launcher

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_integer("shards", 8, "How many files.", lower_bound=1, upper_bound=99_999)
    flags.DEFINE_string("name", "images", "Shards are called NAME-00000-of-00008.tfrecord.")


def make(argv: list[str]) -> int:
    import re

    from tfhific.errors import TfhificError

    if len(argv) != 3:
        raise TfhificError("Expected two arguments, FOLDER_OR_GLOB and OUT_DIR. See --help.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", FLAGS.name):
        raise TfhificError(
            f"--name: expected letters, digits, '.', '_', '-'. Received: {FLAGS.name!r}."
        )
    from tfhific.data.folders import find_images

    found = find_images(argv[1])
    paths = found.paths
    common.say_left_out(found.left_out, argv[1])
    common.start_tensorflow()
    from tqdm import tqdm

    from tfhific.data.shards import write_shards

    count = min(FLAGS.shards, len(paths))
    written = 0
    with tqdm(total=len(paths), leave=False, disable=not sys.stderr.isatty()) as bar:
        for _, reason in write_shards(paths, argv[2], count, FLAGS.name):
            bar.update()
            written += reason is None
            if reason is not None:
                common.say(f"left out: {reason}")
    print(f"{argv[2]}: {written} images in {count} shards")
    if written < len(paths):
        common.say(f"{len(paths) - written} of {len(paths)} files are no readable images")
    return 0 if written == len(paths) else 1


def main(argv: list[str]) -> int:
    return common.guarded(lambda: make(argv), argv, positional=2)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
