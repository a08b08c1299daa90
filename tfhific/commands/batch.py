"""Files through an exported model: batch.py --saved_model=DIR IN [OUT] [--decompress].

IN is a file or a folder of images (with --decompress, of .tfh files), OUT a file or a folder. Many
files go into one folder by `IN... -o FOLDER`.
Reading, work and writing overlap. Images are read as a server reads them: see docs/serving.md.
"""

from __future__ import annotations

import sys
import time

from absl import flags

from tfhific.commands import common, launcher, paths
from tfhific.commands.quality import define_quality

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("saved_model", None, "Folder that export.py wrote.")
    flags.DEFINE_bool("decompress", False, "Decompress .tfh files to PNG.")
    define_quality(None, "; default: the exported model's.")
    flags.DEFINE_integer("batch_size", 8, "Most files of a batch.", lower_bound=1)
    common.define_output_flags()


def batch(argv: list[str]) -> int:
    from tfhific.errors import TfhificError
    from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS, refuse_other_kind

    if not FLAGS.saved_model:
        raise TfhificError("Expected --saved_model=DIR, a folder that bin/export.py wrote.")
    taken: tuple[str, ...] = IMAGE_EXTENSIONS
    suffix, what = CODED_EXTENSION, "a compressed picture"
    if FLAGS.decompress:
        taken, suffix, what = (CODED_EXTENSION,), ".png", "a PNG"
    planned = common.plan_files(
        argv,
        extensions=taken,
        suffix=suffix,
        check_name=lambda name: refuse_other_kind(name, [suffix], what),
        beside=(FLAGS.saved_model,),
    )

    from tqdm import tqdm

    common.start_tensorflow()
    from tfhific.serving import pipeline

    model = pipeline.SavedModel(FLAGS.saved_model)
    work = model.decompress
    if not FLAGS.decompress:

        def work(images):
            return model.compress(images, FLAGS.quality)

    for problem in planned.problems:
        common.say(f"error: {problem}")
    jobs = planned.to_do
    skipped = sum(job.done for job in planned.jobs)
    started, failures, written, done = time.perf_counter(), len(planned.problems), 0, 0
    results = pipeline.run(jobs, work, batch_size=FLAGS.batch_size, overwrite=FLAGS.overwrite)
    for facts in tqdm(results, total=len(jobs), leave=False, disable=not sys.stderr.isatty()):
        if "error" in facts:
            failures += 1
            with tqdm.external_write_mode():
                common.say(f"error: {facts['error']}")
        else:
            done += 1
            written += facts["bytes"]
    seconds = time.perf_counter() - started
    common.say_left_out(planned.left_out, argv[1])
    print(
        f"{done} done, {skipped} skipped, {failures} failed; {written:,} bytes in {seconds:.1f} s"
    )
    return 1 if failures else 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: batch(argv), argv)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
