"""Decompresses .tfh files: decompress.py IN [OUT].

IN is a .tfh file, a folder of them, or - for standard input; OUT an image (its extension chooses
the format), a folder, or -. The default is a PNG beside IN. Many files go into one folder by
`decompress.py IN... -o FOLDER`.
"""

from __future__ import annotations

import time

from absl import flags

from tfhific.commands import common, launcher, paths, runtime

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("model", None, "Name or folder of the model; default: whichever fits.")
    paths.define_path(
        "decoder",
        None,
        "Name or folder of a model with another decoder for the files' streams: one of the same "
        "fingerprint.",
    )
    common.define_file_flags()


def _work(codec_for, job) -> dict:
    from tfhific.errors import BitstreamError, named
    from tfhific.files.file_kinds import extension
    from tfhific.files.jobs import read_bytes
    from tfhific.pictures.images import WRITTEN_EXTENSIONS, write_image, write_png

    common.refuse_existing(job.destination, FLAGS.overwrite)
    started = time.perf_counter()
    data = read_bytes(job.source)
    with named(job.source, BitstreamError):
        codec = codec_for(data)
        picture = codec.decompress_picture(data)
    fits = job.destination == "-" or extension(job.destination) in WRITTEN_EXTENSIONS
    write = write_image if fits else write_png  # the latter with --force_name alone
    write(picture, job.destination, overwrite=FLAGS.overwrite)
    height, width = picture.pixels.shape[:2]
    return {
        "width": width,
        "height": height,
        "bytes": len(data),
        "bpp": round(8 * len(data) / (width * height), 4),
        "model": codec.name,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _line(facts: dict) -> str:
    return (
        f"{facts['input']} -> {facts['output']}: {facts['width']}x{facts['height']}, "
        f"{facts['bytes']:,} bytes, {facts['bpp']:.3f} bits per pixel, {facts['seconds']:.2f} s"
    )


def decompress(argv: list[str]) -> int:
    from tfhific.files.file_kinds import CODED_EXTENSION, refuse_other_kind
    from tfhific.pictures.images import WRITTEN_EXTENSIONS

    options = common.codec_options()
    planned = common.plan_files(
        argv,
        extensions=(CODED_EXTENSION,),
        suffix=".png",
        check_name=lambda name: refuse_other_kind(
            name, WRITTEN_EXTENSIONS, "a picture", chooses_format=True
        ),
        beside=(FLAGS.model, FLAGS.decoder),
    )

    from tfhific.bitstream import container
    from tfhific.errors import BitstreamError, TfhificError
    from tfhific.pillow import Codecs

    if FLAGS.model and FLAGS.decoder:
        raise TfhificError("Expected one of --model and --decoder, not both.")
    options.update(runtime=runtime.for_job(FLAGS.runtime, planned), starting=runtime.start)
    codecs = Codecs(**options)
    chosen = None
    if planned.to_do and (FLAGS.model or FLAGS.decoder):
        chosen = codecs.named(FLAGS.model or FLAGS.decoder)

    def codec_for(data: bytes):
        if chosen is None:
            return codecs.of_file(data)
        made_by = container.unpack(data, FLAGS.max_pixels).fingerprint
        if FLAGS.decoder and made_by != chosen.fingerprint:
            raise BitstreamError(
                f"{chosen.name} is no decoder for this file: it reads the streams of "
                f"{chosen.fingerprint.hex()}, and the file was made by {made_by.hex()}."
            )
        return chosen

    return common.run_files(planned, lambda job: _work(codec_for, job), _line, argv[1])


def main(argv: list[str]) -> int:
    return common.guarded(lambda: decompress(argv), argv)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
