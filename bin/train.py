#!/usr/bin/env python3
"""Trains a model on a folder of images: train.py --model=mini --data=DIR --run_dir=DIR."""

from __future__ import annotations

import dataclasses
import json
import os
import sys

from absl import app, flags

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bin import common

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_string("model", "mini", "System to train.")
    flags.DEFINE_string("data", None, "Folder of images (searched recursively) or a glob.")
    flags.DEFINE_string("run_dir", None, "Folder for checkpoints, logs and the configuration.")
    flags.DEFINE_integer("steps", 0, "Steps to train for; 0: --minutes decides.", lower_bound=0)
    flags.DEFINE_float(
        "minutes",
        0.0,
        "Minutes to train for, earlier parts of a resumed run included; the learning rate decays "
        "to zero by then. 0: --steps decides.",
        lower_bound=0.0,
    )
    flags.DEFINE_integer("batch_size", 4, "Crops a step.", lower_bound=1)
    flags.DEFINE_integer("crop", 192, "Side of the crops, a multiple of 64.", lower_bound=64)
    flags.DEFINE_bool("resume", False, "Continue the run in --run_dir.")
    flags.DEFINE_float("learning_rate", 6e-4, "Learning rate after the warm-up.", lower_bound=0.0)
    flags.DEFINE_integer("warmup_steps", 200, "Steps of linear warm-up.", lower_bound=0)
    flags.DEFINE_float("clip_norm", 1.0, "Largest global norm of the gradient.", lower_bound=0.0)
    flags.DEFINE_float("downscale_min", 0.6, "Strongest random downscaling.", 0.1, 1.0)
    flags.DEFINE_integer("seed", 0, "Seed of the weights and of the crops.")
    flags.DEFINE_string("settings", "{}", "JSON object of configuration settings to replace.")
    flags.DEFINE_integer("save_every", 500, "Steps between checkpoints.", lower_bound=1)
    flags.DEFINE_integer("log_every", 100, "Steps between log lines.", lower_bound=1)
    flags.DEFINE_integer("image_every", 2000, "Steps between reconstructions in TensorBoard.")


def _settings() -> dict:
    from tfhific.errors import TfhificError

    try:
        settings = json.loads(FLAGS.settings)
    except ValueError as error:
        raise TfhificError(f"--settings: expected a JSON object ({error}).") from None
    if not isinstance(settings, dict):
        raise TfhificError(f"--settings: expected a JSON object. Received: {FLAGS.settings}.")
    return settings


def train() -> int:
    from tfhific.errors import TfhificError

    for name in ("data", "run_dir"):
        if not getattr(FLAGS, name):
            raise TfhificError(f"--{name} is needed. See --help.")
    if FLAGS.steps <= 0 and FLAGS.minutes <= 0:
        raise TfhificError("How long to train is needed: --steps or --minutes.")
    if FLAGS.crop % 64:
        raise TfhificError(f"--crop: expected a multiple of 64. Received: {FLAGS.crop}.")

    from tfhific.data.folders import CropSource, crop_dataset, list_images
    from tfhific.models import registry

    paths = list_images(FLAGS.data)

    common.start_tensorflow()
    import numpy as np
    import tensorflow as tf

    from tfhific.backend import keras
    from tfhific.training import trainer
    from tfhific.training.schedule import Budget, CosineSchedule

    exists = os.path.exists(os.path.join(FLAGS.run_dir, "config.json"))
    if exists and not FLAGS.resume:
        raise TfhificError(
            f"{FLAGS.run_dir!r} holds a run already: continue it with --resume, or name another."
        )
    if FLAGS.resume and not exists:
        raise TfhificError(f"{FLAGS.run_dir!r} holds no run to resume. Start it without --resume.")
    if exists:
        stored = trainer.read_config(FLAGS.run_dir)
        system, config = (
            stored["system"],
            registry.configuration(stored["system"], stored["config"]),
        )
        seed = stored["seed"]
    else:
        system, config = FLAGS.model, registry.configuration(FLAGS.model, _settings())
        seed = FLAGS.seed

    keras.utils.set_random_seed(seed)
    model = registry.create(system, config, clip_norm=FLAGS.clip_norm)
    model.compile(optimizer=keras.optimizers.Adam(FLAGS.learning_rate))
    quality = tf.ones([FLAGS.batch_size])
    model(tf.zeros([FLAGS.batch_size, FLAGS.crop, FLAGS.crop, 3]), quality)
    options = trainer.RunOptions(
        FLAGS.run_dir, FLAGS.save_every, FLAGS.log_every, FLAGS.image_every
    )
    run = trainer.Run(model, options)
    if exists:
        run.restore()
    else:
        trainer.write_config(
            FLAGS.run_dir,
            {
                "system": system,
                "config": dataclasses.asdict(config),
                "seed": seed,
                "crop": FLAGS.crop,
                "batch_size": FLAGS.batch_size,
                "learning_rate": FLAGS.learning_rate,
                "steps": FLAGS.steps,
                "minutes": FLAGS.minutes,
                "images": len(paths),
            },
        )
    common.say(
        f"{system}: {model.count_params():,} parameters, {len(paths)} images, from step {run.step}"
    )
    source = CropSource(paths, FLAGS.crop, seed=seed, downscale_min=FLAGS.downscale_min)
    samples = np.stack([source(number) for number in range(3)]).astype(np.float32)

    def reconstructions() -> dict:
        decoded, _, _ = model(samples, tf.constant([1.0, 4.0, 8.0]))
        both = tf.concat([samples, decoded], axis=2) / 255.0
        return {"original_and_reconstruction_at_1_4_8": tf.clip_by_value(both, 0.0, 1.0)}

    reached = trainer.fit(
        run,
        crop_dataset(source, FLAGS.crop, FLAGS.batch_size, first_step=run.step),
        CosineSchedule(FLAGS.learning_rate, FLAGS.warmup_steps),
        Budget(FLAGS.steps, FLAGS.minutes),
        reconstructions=reconstructions,
    )
    if source.skipped:
        common.say(f"{len(source.skipped)} unreadable images were skipped:")
        for path, reason in list(source.skipped.items())[:10]:
            common.say(f"  {path}: {reason}")
    common.say(f"step {reached}: {run.manager.latest_checkpoint}")
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: train(), argv, positional=0)


def run() -> None:
    define_flags()
    app.run(main)


if __name__ == "__main__":
    run()
