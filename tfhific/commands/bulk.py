"""Many pictures through a Ray cluster: bulk.py compress|decompress SRC DST --address=auto.

SRC and DST are folders, or URLs of fsspec such as s3://bucket/photos; SRC may be a .zip, .tar or
.parquet file. DST/manifest.parquet has a row for each picture; a job that ended early goes on where
it stopped. See docs/scaling.md.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from tfhific.commands import common, extras, launcher, paths
from tfhific.commands.quality import define_quality

if TYPE_CHECKING:
    from tfhific.bulk.manifest import Manifest
    from tfhific.bulk.opening import Columns
    from tfhific.bulk.places import Place
    from tfhific.bulk.plan import BulkPlan
    from tfhific.bulk.work import Settings

FLAGS = flags.FLAGS

_NEEDED = {"ray": "ray", "pyarrow": "pyarrow", "fsspec": "fsspec"}


def define_flags() -> None:
    flags.DEFINE_string(
        "address", "local", "Ray cluster: local starts one here, auto is this machine's, or an URL."
    )
    flags.DEFINE_integer("cores", 1, "Cores of a worker, which holds a model.", lower_bound=1)
    flags.DEFINE_integer(
        "workers", None, "Workers; default: as many as the cluster has cores for.", lower_bound=1
    )
    paths.define_path("model", None, "Name or folder of the model; default: mini, or what fits.")
    define_quality(None, " (compress); default 5.")
    flags.DEFINE_bool("strip", False, "Leave out the ICC profile and EXIF (compress).")
    flags.DEFINE_bool("verify", False, "Decode each file again and compare before writing it.")
    flags.DEFINE_bool("recursive", False, "Also the folders below SRC.")
    flags.DEFINE_bool("overwrite", False, "Make again what is there already.")
    flags.DEFINE_bool("retry_errors", False, "Try again what failed in an earlier job.")
    flags.DEFINE_integer("limit", None, "Most pictures of this job.", lower_bound=1)
    flags.DEFINE_bool("dry_run", False, "Say what would be made, and make nothing.")
    flags.DEFINE_integer("batch_size", 16, "Most pictures of a batch.", lower_bound=1)
    flags.DEFINE_integer(
        "batch_pixels", 1 << 24, "A batch is full after so many pixels.", lower_bound=1
    )
    flags.DEFINE_string("image_column", None, "Column of SRC.parquet; default image.")
    flags.DEFINE_string("name_column", None, "Column of names; default: numbers of rows.")
    flags.DEFINE_string("storage_options", "{}", "JSON object for fsspec, of both URLs.")
    common.define_codec_flags()


def bulk(argv: list[str]) -> int:
    from tfhific.bulk.manifest import Manifest
    from tfhific.bulk.opening import open_destination, open_place
    from tfhific.errors import TfhificError

    if len(argv) != 4 or argv[1] not in ("compress", "decompress"):
        raise TfhificError("Expected compress or decompress, SRC and DST. See --help.")
    command, options = argv[1], _storage_options()
    if command == "decompress" and (FLAGS.quality is not None or FLAGS.strip):
        raise TfhificError("--quality and --strip are for compressing.")
    codec_options = common.codec_options()
    sources = open_place(argv[2], options, _columns())
    destination = open_destination(argv[3], options)
    extras.require("bulk", "bulk", _NEEDED)
    present = destination.files()
    manifest = Manifest(destination, present)
    planned = _plan(command, sources, destination, present, manifest)
    for problem in planned.problems:
        common.say(f"error: {problem}")
    common.say_left_out(planned.left_out, sources.name)
    if FLAGS.dry_run:
        for task in planned.tasks:
            verb = "noted" if task.kept else "made"
            print(f"{sources.shown(task.source)} -> {destination.shown(task.destination)}: {verb}")
        return _summary(planned, 0, 0)
    done = failed = 0
    if planned.tasks:
        settings = _settings(command, sources, destination, codec_options)
        try:
            done, failed = _run(planned, manifest, settings)
        except _Ended:
            common.say("stopped; the same command goes on")
            return 128 + signal.SIGTERM
    manifest.finish()
    return _summary(planned, done, failed)


def _storage_options() -> dict:
    from tfhific.errors import TfhificError

    try:
        options = json.loads(FLAGS.storage_options)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise TfhificError(
            f"--storage_options: expected a JSON object. Received: {FLAGS.storage_options}."
        )
    return options


def _columns() -> Columns | None:
    from tfhific.bulk.opening import Columns

    if FLAGS.image_column is None and FLAGS.name_column is None:
        return None
    return Columns(FLAGS.image_column or "image", FLAGS.name_column)


def _plan(
    command: str, sources: Place, destination: Place, present: dict, manifest: Manifest
) -> BulkPlan:
    from tfhific.bulk import plan
    from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS

    compresses = command == "compress"
    return plan.plan(
        sources,
        destination,
        present,
        manifest.rows,
        extensions=IMAGE_EXTENSIONS if compresses else (CODED_EXTENSION,),
        suffix=CODED_EXTENSION if compresses else ".png",
        ignored=(CODED_EXTENSION,) if compresses else IMAGE_EXTENSIONS,
        recursive=FLAGS.recursive,
        overwrite=FLAGS.overwrite,
        retry=FLAGS.retry_errors,
        limit=FLAGS.limit,
        beside=(FLAGS.model,),
    )


def _settings(command: str, sources: Place, destination: Place, options: dict) -> Settings:
    from tfhific.bulk import engine
    from tfhific.bulk.work import Settings

    return Settings(
        command,
        sources,
        destination,
        FLAGS.model or ("mini" if command == "compress" else None),
        FLAGS.quality,
        options,
        overwrite=FLAGS.overwrite,
        strip=FLAGS.strip,
        verify=FLAGS.verify,
        variables=engine.variables_of(FLAGS.cores),
    )


def _run(planned: BulkPlan, manifest: Manifest, settings: Settings) -> tuple[int, int]:
    """Does the tasks; gives how many were made and how many failed."""
    from tfhific.bulk import batches, engine
    from tfhific.bulk.progress import Progress
    from tfhific.bulk.rows import FAILED

    progress = Progress(planned.tasks, common.say)
    dealt = batches.batches(
        planned.tasks, settings.sources, files=FLAGS.batch_size, pixels=FLAGS.batch_pixels
    )
    with engine.connected(FLAGS.address), _flushed(manifest), _ended_by_sigterm():
        grows = FLAGS.address != engine.LOCAL
        workers = engine.workers_of(FLAGS.cores, FLAGS.workers, grows)
        running = engine.Engine(settings, cores=FLAGS.cores, workers=workers)
        try:
            for row in running.run(dealt, progress.tick):
                manifest.add(row)
                progress.add(row)
                if row.status == FAILED:
                    common.say(f"error: {row.error}")
        finally:
            running.stop()
    return progress.done, progress.failed


@contextlib.contextmanager
def _flushed(manifest: Manifest) -> Iterator[None]:
    """Writes the rows that there are, however the job ends."""
    try:
        yield
    finally:
        manifest.flush()


class _Ended(BaseException):
    """SIGTERM came, as from Slurm or Kubernetes."""


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Ends the block on SIGTERM, which Ray, once it runs, takes for a crash of this process."""

    def end(*_) -> None:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _summary(planned: BulkPlan, done: int, failed: int) -> int:
    failed += len(planned.problems)
    before = planned.failed_before
    recorded = f", {before} failed before (--retry_errors tries them again)" if before else ""
    to_do = f"{len(planned.tasks)} to do, " if FLAGS.dry_run else ""
    print(f"{to_do}{done} done, {planned.skipped} skipped, {failed} failed{recorded}")
    sys.stdout.flush()
    return 1 if failed or before else 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: bulk(argv), argv)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
