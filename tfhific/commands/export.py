"""Exports a model for serving: export.py --model=NAME_OR_RUN --out=DIR [--version=N].

Writes DIR/N, a SavedModel of core TensorFlow ops with the signatures compress, compress_at,
decompress, compress_raw, decompress_raw and info: see docs/serving.md.
"""

from __future__ import annotations

import os

from absl import flags

from tfhific.commands import common, launcher, paths
from tfhific.commands.quality import define_quality

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("model", "mini", "Name or folder of a model, or folder of a training run.")
    paths.define_path("out", None, "Folder of the model's versions.", short_name="o")
    flags.DEFINE_integer("version", None, "Number of the version; default: the next one.")
    flags.DEFINE_enum("coder", "graph", ["graph", "native"], "native needs TFC's kernels to run.")
    define_quality(None, ", of the signature compress; default 5.")
    flags.DEFINE_integer("max_pixels", 50_000_000, "Larger pictures are refused.", lower_bound=1)
    flags.DEFINE_integer(
        "max_request_pixels",
        None,
        "Of all pictures of a request together; default: four times --max_pixels.",
        lower_bound=1,
    )
    flags.DEFINE_bool("warmup", True, "Add requests that a server makes when it loads the model.")


def _load(name: str):
    """A published model, or that of a training run."""
    from tfhific import systems, zoo
    from tfhific.errors import ModelError
    from tfhific.published.store import FILE_NAME, load_model
    from tfhific.publishing.options import PublishOptions

    try:
        return load_model(zoo.find_by_name(name))
    except ModelError:
        # A folder without a model in it may be a run's.
        if not os.path.isdir(name) or os.path.exists(os.path.join(name, FILE_NAME)):
            raise
    from tfhific.training.restore import restore_trained

    trained, training = restore_trained(name)
    publish = systems.publisher(training["system"])
    return publish(trained, os.path.basename(os.path.normpath(name)), training, PublishOptions())


def export(argv: list[str]) -> int:
    from tfhific.errors import TfhificError

    if not FLAGS.out:
        raise TfhificError("Expected --out=DIR, the folder of the model's versions.")
    from absl import logging

    common.start_tensorflow()
    # Saving says a lot that is of no use here.
    logging.set_verbosity(logging.ERROR)
    from tfhific.serving.export import export as write

    model = _load(FLAGS.model)
    folder = write(
        model,
        FLAGS.out,
        FLAGS.version,
        quality=FLAGS.quality,
        coder=FLAGS.coder,
        max_pixels=FLAGS.max_pixels,
        max_request_pixels=FLAGS.max_request_pixels,
        warmup=FLAGS.warmup,
    )
    size = sum(os.path.getsize(os.path.join(at, n)) for at, _, ns in os.walk(folder) for n in ns)
    print(f"{folder}: {model.name} ({model.fingerprint.hex()}), {size:,} bytes")
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: export(argv), argv, positional=0)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
