#!/usr/bin/env python3
"""Files through an exported model: batch.py --saved_model=DIR IN [OUT] [--decompress].

IN is a file or a folder of images (with --decompress, of .tfh files), OUT a file or a folder.
Reading, work and writing overlap. Images are read as a server reads them: see docs/serving.md.
"""

from __future__ import annotations

import os
import sys
import time

from absl import flags

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bin import common, launcher, paths

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("saved_model", None, "Folder that export.py wrote.")
    flags.DEFINE_bool("decompress", False, "Decompress .tfh files to PNG.")
    flags.DEFINE_float("quality", None, "1 to 8; default: the exported model's.")
    flags.DEFINE_integer("batch_size", 8, "Most files of a batch.", lower_bound=1)
    flags.DEFINE_bool("overwrite", False, "Replace outputs that are there already.")
    flags.DEFINE_bool("recursive", False, "Also the folders below a folder.")


def batch(argv: list[str]) -> int:
    from tfhific.codec.jobs import IMAGE_EXTENSIONS
    from tfhific.errors import OutputError, TfhificError

    if not FLAGS.saved_model:
        raise TfhificError("Expected --saved_model=DIR, a folder that export.py wrote.")
    if FLAGS.decompress:
        planned = common.plan_files(argv, extensions=(".tfh",), suffix=".png")
    else:
        planned = common.plan_files(argv, extensions=IMAGE_EXTENSIONS, suffix=".tfh")
    for job in planned.jobs:
        if job.clash is not None:
            raise OutputError(f"{job.source}: its output is that of {job.clash} too; rename one.")
    if not planned.folder:
        common.refuse_existing(planned.jobs[0].destination, FLAGS.overwrite)

    from tqdm import tqdm

    common.start_tensorflow()
    from tfhific.serving import pipeline

    model = pipeline.SavedModel(FLAGS.saved_model)
    work = model.decompress
    if not FLAGS.decompress:

        def work(images):
            return model.compress(images, FLAGS.quality)

    jobs = [job for job in planned.jobs if not job.done]
    started, failures, written = time.perf_counter(), 0, 0
    results = pipeline.run(jobs, work, batch_size=FLAGS.batch_size, overwrite=FLAGS.overwrite)
    for facts in tqdm(results, total=len(jobs), leave=False, disable=not sys.stderr.isatty()):
        if "error" in facts:
            failures += 1
            with tqdm.external_write_mode():
                common.say(f"error: {facts['error']}")
        else:
            written += facts["bytes"]
    seconds = time.perf_counter() - started
    print(
        f"{len(jobs) - failures} done, {len(planned.jobs) - len(jobs)} skipped, {failures} failed; "
        f"{written:,} bytes in {seconds:.1f} s"
    )
    return 1 if failures else 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: batch(argv), argv, positional=2)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
