"""Makes small pictures of .tfh files: thumbnail.py IN [OUT] [--size=N].

IN is a .tfh file, a folder of them, or - for standard input; OUT a PNG, a folder, or -. The default
is NAME.thumbnail.png beside IN. Desktops call it to show files in folders: deploy/desktop/.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from absl import flags

from tfhific.commands import common, launcher, runtime

if TYPE_CHECKING:
    from PIL import Image

    from tfhific.files.planning import Job
    from tfhific.pictures.images import Picture
    from tfhific.pillow import Codecs

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_integer(
        "size",
        256,
        "The longer side is at most so many pixels; smaller pictures stay as they are.",
        lower_bound=1,
    )
    common.define_file_flags()


def shrunk(picture: Picture, size: int) -> Image.Image:
    """A picture made small enough, as those who show it without regard for profiles need it.

    Args:
      picture: the whole one.
      size: most pixels a side.

    Returns:
      A Pillow image of mode RGB or RGBA in sRGB, without metadata.
    """
    from PIL import ImageCms

    from tfhific.pictures.images import to_pillow

    image = to_pillow(picture)
    image.thumbnail((size, size))
    image.info.clear()
    if picture.icc is None:
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
        made = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"))
    # A profile that can't be used is no reason to show nothing.
    except (ImageCms.PyCMSError, OSError):
        return image
    assert made is not None
    made.info.clear()
    return made


def _work(codecs: Codecs, job: Job) -> dict:
    from tfhific.errors import BitstreamError, named
    from tfhific.files.atomic import write_atomically
    from tfhific.files.jobs import read_bytes

    common.refuse_existing(job.destination, FLAGS.overwrite)
    data = read_bytes(job.source)
    with named(job.source, BitstreamError):
        picture = codecs.of_file(data).decompress_picture(data)
    image = shrunk(picture, FLAGS.size)
    held = io.BytesIO()
    image.save(held, "PNG")
    write_atomically(job.destination, held.getvalue(), FLAGS.overwrite)
    return {"width": image.width, "height": image.height}


def _line(facts: dict) -> str:
    return f"{facts['input']} -> {facts['output']}: {facts['width']}x{facts['height']}"


def thumbnail(argv: list[str]) -> int:
    from tfhific.files.file_kinds import CODED_EXTENSION, refuse_other_kind
    from tfhific.pillow import Codecs

    options = common.codec_options()
    planned = common.plan_files(
        argv,
        extensions=(CODED_EXTENSION,),
        suffix=".thumbnail.png",
        check_name=lambda name: refuse_other_kind(name, (".png",), "a PNG"),
    )
    options.update(runtime=runtime.for_job(FLAGS.runtime, planned), starting=runtime.start)
    codecs = Codecs(**options)
    return common.run_files(planned, lambda job: _work(codecs, job), _line, argv[1])


def main(argv: list[str]) -> int:
    return common.guarded(lambda: thumbnail(argv), argv)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
