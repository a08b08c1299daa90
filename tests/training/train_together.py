"""Trains a real system for some steps and prints its curve and pictures: a test's helper.

    train_together.py SYSTEM FOLDER STEPS

With TF_CONFIG it is one of two workers; without, a process alone that takes its batch in two parts,
which are the workers' shares: their noise and their draws of qualities are the same ones.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

# As the commands do; read when `tf.keras` is first used.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf

from tfhific.models.draws import Draws
from tfhific.training import start, trainer
from tfhific.training.schedule import Budget, make_schedule

SMALL = {"latent_channels": 16, "hyper_channels": 8, "fine_channels": 8}
SYSTEMS = {
    "mini": ({**SMALL, "coarse_channels": 8}, ""),
    "mini2": (
        {**SMALL, "width": 12, "encoder_blocks": 1, "decoder_blocks": 1, "context_channels": 12},
        "",
    ),
    "hific": ({}, "hific-tiny"),
}


def main(system: str, folder: str, steps: int) -> None:
    alone = "TF_CONFIG" not in os.environ
    settings, preset = SYSTEMS[system]
    options = {"crop": 64, "batch_size": 4, "learning_rate": 1e-3, "accumulate": 2 if alone else 1}
    plan = start.new_plan(system, settings, preset, options, data=folder, steps=steps)
    keep = trainer.RunOptions(tempfile.mkdtemp(), save_every=1000, log_every=1, image_every=0)
    strategy = "none" if alone else "multiworker"
    session = start.begin(plan, keep, resume=False, strategy=strategy)
    model = session.run.model

    def draws(part=0) -> Draws:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        training = model.state()
        return Draws(training.options.seed, training.step, replica + part)

    pictures: list[list[int]] = []

    def note(blue) -> None:
        pictures.append([int(value) for value in blue])

    step = model.train_step

    def noted(data):
        tf.numpy_function(note, [data[:, 0, 0, 2]], [])
        return step(data)

    model.draws, model.train_step = draws, noted
    lines: list[str] = []
    trainer.fit(
        session.run, session.dataset(), make_schedule(plan.options), Budget(steps), say=lines.append
    )
    replicas = 1 if session.strategy is None else session.strategy.num_replicas_in_sync
    curve = [[float(part.split()[1]) for part in line.split("  ")[3:]] for line in lines]
    print(json.dumps({"replicas": replicas, "pictures": pictures, "curve": curve}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
