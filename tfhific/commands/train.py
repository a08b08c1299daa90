"""Trains a model on images: train.py --model=mini --data=DIR --run_dir=DIR --steps=N."""

from __future__ import annotations

import json
import os

from absl import flags

from tfhific.commands import common, extras, launcher, paths

FLAGS = flags.FLAGS


OPTIONS = (
    *("batch_size", "crop", "seed", "learning_rate", "schedule", "warmup_steps", "boundaries"),
    *("decay", "clip_norm", "accumulate", "precision", "ema", "stage", "adversary", "freeze"),
    *("lpips", "labels", "downscale_min", "downscale_max", "downscale_share", "flip"),
)
"""Flags that are fields of `TrainingOptions`. None stands for the system's own default."""


def define_flags() -> None:
    flags.DEFINE_string("model", "mini", "System to train.")
    flags.DEFINE_string("config", "", "Name of one of the system's configurations.")
    flags.DEFINE_string("settings", "{}", "JSON object of configuration settings to replace.")
    flags.DEFINE_integer("bottleneck", None, "Channels of the code of gc and sc: 2, 4, 8, 16.", 1)
    paths.define_path(
        "data",
        None,
        "Folder of images (searched recursively) or a glob; folder or glob of TFRecord shards; or "
        "tfds:NAME[:SPLIT].",
    )
    paths.define_path("run_dir", None, "Folder for checkpoints, logs and the configuration.")
    flags.DEFINE_bool("resume", False, "Continue the run in --run_dir, as it was begun.")
    paths.define_path(
        "init_from", "", "Run, or published or imported model, whose weights a new run begins with."
    )
    flags.DEFINE_integer("steps", 0, "Steps to train for; 0: --minutes decides.", lower_bound=0)
    flags.DEFINE_float(
        "minutes",
        0.0,
        "Minutes to train for, earlier parts of a resumed run included; a cosine schedule reaches "
        "zero by then. 0: --steps decides.",
        lower_bound=0.0,
    )
    flags.DEFINE_integer("save_every", 500, "Steps between checkpoints.", lower_bound=1)
    flags.DEFINE_integer("log_every", 100, "Steps between log lines.", lower_bound=1)
    flags.DEFINE_integer("image_every", 2000, "Steps between reconstructions in TensorBoard.")
    flags.DEFINE_enum("strategy", "none", ["none", "mirrored", "multiworker"], "Devices to use.")
    flags.DEFINE_bool("xla", False, "Compile the training step with XLA.")
    flags.DEFINE_bool(
        "deterministic",
        False,
        "Repeated and resumed runs agree bit for bit on one machine. On a CPU: in one thread.",
    )

    # Each has a default of the system's own.
    flags.DEFINE_integer("stage", None, "Stage of the training, for systems with several.", 1)
    flags.DEFINE_string("adversary", None, "Discriminator, for systems with a choice.")
    flags.DEFINE_list("freeze", None, "Parts whose weights stay as they are: encoder,prior.")
    paths.define_path("lpips", None, "File of LPIPS weights, for systems that use them.")
    paths.define_path("labels", None, "Run of a label autoencoder, for --adversary=illm.")
    flags.DEFINE_integer("batch_size", None, "Crops a step.", lower_bound=1)
    flags.DEFINE_integer("accumulate", None, "Parts that a batch is cut into.", 1, 1024)
    flags.DEFINE_integer("crop", None, "Side of the crops, in pixels.", lower_bound=1)
    flags.DEFINE_integer("seed", None, "Seed of the weights, the crops and the noise.")
    flags.DEFINE_float("learning_rate", None, "Learning rate after the warm-up.", lower_bound=0.0)
    flags.DEFINE_string("schedule", None, "Of the learning rate: cosine, step or constant.")
    flags.DEFINE_list("boundaries", None, "Steps at which the step schedule drops.")
    flags.DEFINE_float("decay", None, "Factor of each drop.", lower_bound=0.0)
    flags.DEFINE_integer("warmup_steps", None, "Steps of linear warm-up.", lower_bound=0)
    flags.DEFINE_float("clip_norm", None, "Largest global norm of a gradient; 0: none.", 0.0)
    flags.DEFINE_string("precision", None, "float32, mixed_bfloat16 or mixed_float16.")
    flags.DEFINE_float("ema", None, "Decay of a moving average of the weights; 0: none.", 0.0)
    flags.DEFINE_float("downscale_min", None, "Strongest random downscaling.", 0.1, 1.0)
    flags.DEFINE_float("downscale_max", None, "Weakest random downscaling.", 0.1, 1.0)
    flags.DEFINE_float("downscale_share", None, "Share of crops that are scaled down.", 0.0, 1.0)
    flags.DEFINE_bool("flip", None, "Mirror half of the crops.")


def _settings() -> dict:
    from tfhific.errors import TfhificError

    try:
        settings = json.loads(FLAGS.settings)
    except ValueError as error:
        raise TfhificError(f"--settings: expected a JSON object ({error}).") from None
    if not isinstance(settings, dict):
        raise TfhificError(f"--settings: expected a JSON object. Received: {FLAGS.settings}.")
    if FLAGS.bottleneck is not None:
        settings["bottleneck"] = FLAGS.bottleneck
    return settings


def _options() -> dict:
    """The options that were given."""
    from tfhific.errors import TfhificError

    given = {name: getattr(FLAGS, name) for name in OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    if "boundaries" in given:
        try:
            given["boundaries"] = tuple(int(step) for step in given["boundaries"])
        except ValueError:
            raise TfhificError(
                f"--boundaries: expected steps such as 500000,800000. Received: {FLAGS.boundaries}."
            ) from None
    if "freeze" in given:
        given["freeze"] = tuple(given["freeze"])
    return given


def _compute_deterministically() -> None:
    from tfhific.training.determinism import compute_deterministically

    compute_deterministically()


def train() -> int:
    from tfhific.errors import TfhificError

    if not FLAGS.run_dir:
        raise TfhificError("--run_dir is needed. See --help.")
    from tfhific.training.folder import check_run_folder

    check_run_folder(FLAGS.run_dir)
    exists = os.path.exists(os.path.join(FLAGS.run_dir, "config.json"))
    if exists and not FLAGS.resume:
        raise TfhificError(
            f"{FLAGS.run_dir!r} holds a run already: continue it with --resume, or name another."
        )
    if FLAGS.resume and not exists:
        raise TfhificError(f"{FLAGS.run_dir!r} holds no run to resume. Start it without --resume.")
    if FLAGS.resume and FLAGS.init_from:
        raise TfhificError("--init_from is for a new run: --resume goes on from its checkpoint.")
    if not exists and not FLAGS.data:
        raise TfhificError("--data is needed. See --help.")
    if not exists and FLAGS.steps <= 0 and FLAGS.minutes <= 0:
        raise TfhificError("How long to train is needed: --steps or --minutes.")
    if FLAGS.deterministic and FLAGS.strategy != "none":
        raise TfhificError("--deterministic is for one device: expected --strategy=none.")
    if (FLAGS.data or "").startswith("tfds:"):
        needed = {"tensorflow_datasets": "tensorflow-datasets"}
        extras.require(f"--data={FLAGS.data}", "train", needed)
    settings, options = _settings(), _options()
    if FLAGS.deterministic:
        common.start_tensorflow(_compute_deterministically)
    elif FLAGS.strategy != "multiworker":  # which has to be set up before TensorFlow runs anything
        common.start_tensorflow()

    from tfhific.training import start, trainer
    from tfhific.training.schedule import Budget, make_schedule

    length = {"data": FLAGS.data or "", "steps": FLAGS.steps, "minutes": FLAGS.minutes}
    if exists:
        plan = start.resumed_plan(
            FLAGS.run_dir,
            options,
            system=FLAGS.model if FLAGS["model"].present else None,
            preset=FLAGS.config if FLAGS["config"].present else None,
            settings=settings,
            **length,
        )
    else:
        length["init_from"] = FLAGS.init_from
        plan = start.new_plan(FLAGS.model, settings, FLAGS.config, options, **length)
    if not plan.data:
        raise TfhificError("--data is needed: this run doesn't say what it was begun with.")
    if plan.steps <= 0 and plan.minutes <= 0:
        raise TfhificError("How long to train is needed: --steps or --minutes.")
    schedule = make_schedule(plan.options)
    keep = trainer.RunOptions(FLAGS.run_dir, **_keeping(exists))
    session = start.begin(plan, keep, resume=FLAGS.resume, strategy=FLAGS.strategy, xla=FLAGS.xla)
    run = session.run
    weights = sum(v.shape.num_elements() for v in run.model.codec_model.variables)
    common.say(
        f"{plan.system}: {weights:,} parameters, {session.data.describe()}, from step {run.step}"
    )
    for line in session.notices:
        common.say(line)
    try:
        reached = trainer.fit(
            run,
            session.dataset(),
            schedule,
            Budget(plan.steps, plan.minutes),
            reconstructions=session.reconstructions,
        )
    except trainer.TrainingStopped as stop:
        _say_skipped(session.data.skipped)
        common.say(str(stop))
        return 128 + stop.signal
    _say_skipped(session.data.skipped)
    common.say(f"step {reached}: {run.latest_checkpoint}")
    return 0


def _keeping(resumed: bool) -> dict[str, int]:
    """How often the run saves and logs: as given, else as it was begun, else the defaults."""
    from tfhific.training.start import KEEPING, resumed_keeping

    begun = resumed_keeping(FLAGS.run_dir) if resumed else {}
    given = {name: FLAGS[name].value for name in KEEPING if FLAGS[name].present}
    return {**{name: FLAGS[name].value for name in KEEPING}, **begun, **given}


def _say_skipped(skipped: dict[str, str]) -> None:
    if skipped:
        common.say(f"{len(skipped)} unreadable images were skipped:")
        for name, reason in list(skipped.items())[:10]:
            common.say(f"  {name}: {reason}")


def main(argv: list[str]) -> int:
    return common.guarded(lambda: train(), argv, positional=0)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
