"""Publishes a trained model: publish.py RUN_DIR NAME [--data=DIR] [--out=DIR]."""

from __future__ import annotations

import os

from absl import flags

from tfhific.commands import common, launcher, paths

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path(
        "out", None, "Folder for the model's folder; default: the zoo.", short_name="o"
    )
    flags.DEFINE_bool("overwrite", False, "Replace a model of that name.")
    paths.define_path(
        "data",
        None,
        "Folder or glob of photographs to fit the tables to, such as those trained on.",
    )
    flags.DEFINE_float(
        "stretch", 1.0, "Extends the step to the highest quality beyond what was trained.", 1.0, 2.0
    )
    flags.DEFINE_float(
        "dead_zone",
        0.0,
        "Steps that an encoder of mini, mini2 or hific takes latents towards zero for each bit "
        "that a one costs more than a zero; mini-v3 has 0.016.",
        0.0,
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
        "runs that trained the decoder alone (--freeze=encoder,prior). Where nothing but the "
        "synthesis transform differs, that is all that is written, and the rest found by the "
        "name of that model's folder.",
    )
    flags.DEFINE_bool("whole", False, "With --stream_of: write the whole codec in any case.")
    flags.DEFINE_integer("images", 48, "How many of them, spread evenly.", lower_bound=1)


def publish(argv: list[str]) -> int:
    import re

    from tfhific.errors import ModelError, OutputError

    if len(argv) != 3:
        raise ModelError("Expected two arguments, RUN_DIR and NAME. See --help.")
    run_dir, name = argv[1:]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ModelError(f"Expected a name of letters, digits, '.', '_', '-'. Received: {name!r}.")

    from tfhific import systems, zoo
    from tfhific.files.own_inputs import refuse_own_input
    from tfhific.published.store import FILE_NAME, model_files, save_model
    from tfhific.publishing.decoder import decoder_alone, missing_codec
    from tfhific.publishing.options import PublishOptions

    if FLAGS.stream_of and FLAGS.data:
        raise ModelError("Expected --stream_of or --data, not both: tables are taken or fitted.")
    if FLAGS.stream_of and FLAGS.dead_zone:
        raise ModelError("Expected --stream_of or --dead_zone, not both: that model's is taken.")
    folder = os.path.join(FLAGS.out or os.path.dirname(os.path.abspath(zoo.__file__)), name)
    target = os.path.join(folder, FILE_NAME)
    stream_of = zoo.find_by_name(FLAGS.stream_of) if FLAGS.stream_of else None
    # First by its place alone, whatever lies there; then as a model, which may be a decoder alone,
    # of a codec that this one is to need too.
    refuse_own_input(target, [stream_of])
    if stream_of:
        refuse_own_input(target, model_files(stream_of))
    if os.path.exists(target) and not FLAGS.overwrite:
        raise OutputError(f"{folder!r} holds a model already: --overwrite replaces it.")

    common.start_tensorflow()
    from tfhific.training.restore import restore_trained

    model, training = restore_trained(run_dir)
    options = PublishOptions(
        data=FLAGS.data or "",
        images=FLAGS.images,
        stretch=FLAGS.stretch,
        prior=FLAGS.prior,
        dead_zone=FLAGS.dead_zone,
        stream_of=stream_of or "",
        say=common.say,
    )
    published = systems.publisher(training["system"])(model, name, training, options)
    if stream_of and not FLAGS.whole:
        published = decoder_alone(published, stream_of)
    path = save_model(published, folder)
    print(
        f"{path}: {os.path.getsize(path):,} bytes, fingerprint {published.fingerprint.hex()}, "
        f"step {training['step']}"
    )
    missing = missing_codec(published, folder)
    if missing:
        common.say(f"note: {missing}")
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: publish(argv), argv)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
