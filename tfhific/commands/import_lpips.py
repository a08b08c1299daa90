"""Makes a file of LPIPS weights from the packages lpips and torchvision: import_lpips.py OUT."""

from __future__ import annotations

from absl import flags

from tfhific.commands import common, launcher

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_enum("backbone", "alex", ["alex", "squeeze", "vgg16"], "Which network.")
    flags.DEFINE_bool("overwrite", False, "Replace the file.")


def convert(argv: list[str]) -> int:
    from tfhific.errors import TfhificError

    if len(argv) != 2 or not argv[1].endswith(".npz"):
        raise TfhificError("Expected one argument, the file to write, ending in .npz. See --help.")
    common.refuse_existing(argv[1], FLAGS.overwrite)
    from tfhific.interop.lpips import import_lpips

    size, taps = import_lpips(FLAGS.backbone, argv[1], FLAGS.overwrite)
    print(f"{argv[1]}: {FLAGS.backbone}, {taps} taps, {size:,} bytes")
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: convert(argv), argv)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
