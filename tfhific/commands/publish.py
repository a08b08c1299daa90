"""Publishes a trained model: publish.py RUN_DIR NAME [--data=DIR] [--out=DIR]."""

from __future__ import annotations

import os
import sys
from typing import Any

from absl import flags

from tfhific.commands import common, launcher, paths

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("out", None, "Folder for the model's folder; default: the zoo.")
    flags.DEFINE_bool("overwrite", False, "Replace a model of that name.")
    paths.define_path(
        "data",
        None,
        "Folder or glob of photographs to fit the tables to, such as those trained on.",
    )
    flags.DEFINE_float(
        "stretch", 1.0, "Extends the step to the highest quality beyond what was trained.", 1.0, 2.0
    )
    flags.DEFINE_enum(
        "prior",
        "static",
        ["static", "hyper"],
        "Probabilities of the centres of gc and sc: by channel, or by what is decoded already.",
    )
    paths.define_path(
        "stream_of",
        None,
        "A published model whose files this one is to decode too: its tables are taken over. For "
        "runs that trained the decoder alone (--freeze=encoder,prior).",
    )
    flags.DEFINE_integer("images", 48, "How many of them, spread evenly.", lower_bound=1)


def _calibrate(published):
    from tqdm import tqdm

    from tfhific.data.folders import Files, list_images, readable
    from tfhific.publishing.calibration import calibrate

    paths = list_images(FLAGS.data)
    paths = paths[:: max(len(paths) // FLAGS.images, 1)][: FLAGS.images]
    qualities = (1.0,) if published.single_rate else (1.0, 2.5, 4.0, 6.0, 8.0)
    with tqdm(total=len(paths), leave=False, disable=not sys.stderr.isatty()) as bar:
        images = (pixels for _, pixels in readable(Files(paths), common.say))
        return calibrate(published, images, qualities, bar.update)


def _publish_whole(model, name: str, training: dict):
    """A model whose networks see a whole picture: probabilities counted over all of --data."""
    from tfhific.codec.inversion import publish_cgan, publish_inversion, with_counted_z
    from tfhific.codec.inversion_search import SearchOptions
    from tfhific.data.folders import Files, list_images, readable
    from tfhific.data.square import domain_pictures
    from tfhific.publishing.centres import publish_extreme

    if training["system"] in ("gc", "sc"):
        pictures: Any = None
        if FLAGS.data and model.config.maps == "selective":
            from tfhific.data.labelled import kept_pictures

            pictures = kept_pictures(FLAGS.data, model.config.classes, common.say)
        elif FLAGS.data:
            files = Files(list_images(FLAGS.data))
            pictures = ((pixels, None) for _, pixels in readable(files, common.say))
        return publish_extreme(model, name, training, pictures, FLAGS.prior)
    make = publish_inversion if training["system"] == "inversion" else publish_cgan
    published = make(model, name, training)
    if FLAGS.data:
        images = domain_pictures(FLAGS.data, FLAGS.images, common.say)
        published = with_counted_z(published, images, SearchOptions())
    return published


def publish(argv: list[str]) -> int:
    import re

    from tfhific.errors import ModelError, OutputError

    if len(argv) != 3:
        raise ModelError("Expected two arguments, RUN_DIR and NAME. See --help.")
    run_dir, name = argv[1:]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ModelError(f"Expected a name of letters, digits, '.', '_', '-'. Received: {name!r}.")

    from tfhific import zoo
    from tfhific.files.own_inputs import refuse_own_input
    from tfhific.published.hyperprior import FILE_NAME, load_model, save_model

    if FLAGS.stream_of and FLAGS.data:
        raise ModelError("Expected --stream_of or --data, not both: tables are taken or fitted.")
    folder = os.path.join(FLAGS.out or os.path.dirname(os.path.abspath(zoo.__file__)), name)
    target = os.path.join(folder, FILE_NAME)
    stream_of = zoo.find_by_name(FLAGS.stream_of) if FLAGS.stream_of else None
    refuse_own_input(target, [stream_of])
    if os.path.exists(target) and not FLAGS.overwrite:
        raise OutputError(f"{folder!r} holds a model already: --overwrite replaces it.")

    common.start_tensorflow()
    from tfhific.codec.systems import WHOLE_SYSTEMS
    from tfhific.published.model import save_whole_model
    from tfhific.publishing.hyperprior import publish as make_model
    from tfhific.publishing.hyperprior import with_stream_of
    from tfhific.training.restore import restore_trained

    model, training = restore_trained(run_dir)
    if training["system"] in WHOLE_SYSTEMS:
        published = _publish_whole(model, name, training)
        path = save_whole_model(published, folder)
    else:
        published = make_model(model, name, training, FLAGS.stretch)
        if stream_of is not None:
            published = with_stream_of(published, load_model(stream_of))
        elif FLAGS.data:
            published = _calibrate(published)
        path = save_model(published, folder)
    print(
        f"{path}: {os.path.getsize(path):,} bytes, fingerprint {published.fingerprint.hex()}, "
        f"step {training['step']}"
    )
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: publish(argv), argv)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
