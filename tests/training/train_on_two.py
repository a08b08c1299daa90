"""Trains on one device and on two, and prints how they differ: a test's helper.

Without an argument a toy; with a folder of pictures the real systems, on two devices alone.

In a process of its own, since the number of devices is settled when TensorFlow starts.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import tempfile

import numpy as np

# As the commands do; read when `tf.keras` is first used.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import test_systems as systems  # noqa: E402

from tfhific.models.draws import Draws  # noqa: E402
from tfhific.training import start, trainer  # noqa: E402
from tfhific.training.schedule import Budget, StepSchedule, make_schedule  # noqa: E402
from tfhific.training.strategy import distributable, make_strategy, scope  # noqa: E402


class Silent(Draws):
    """No noise: with it, two replicas draw other numbers than one."""

    def uniform(self, name, shape, low=0.0, high=1.0):
        return tf.zeros(shape)

    def normal(self, name, shape, deviation=1.0):
        return tf.zeros(shape)


def toy(strategy, accumulate: int, broken: int | None = None):
    """Weights and log lines of a toy GAN after three steps, and whether it diverged."""
    with scope(strategy):
        run = systems.make_run(tempfile.mkdtemp(), accumulate=accumulate, ema=0.9)
    run.model.draws = lambda part=0: Silent(0, 0)
    data = systems.batches(0, 8, broken)
    if broken is None:
        # How the toy cuts its batch in two depends on the replica: every cut is made the same.
        data = data.map(lambda x: tf.tile(x[:2], [4, 1, 1, 1]))
    data = distributable(data)
    lines, diverged = [], False
    try:
        trainer.fit(run, data, StepSchedule(0.01), Budget(3), say=lines.append)
    except trainer.TrainingDiverged:
        diverged = True
    if strategy is not None and not diverged:
        again = systems.make_run(run.options.run_dir, accumulate=accumulate, ema=0.9)
        assert again.restore()
        assert again.step == 3
    numbers = [[float(part.split()[1]) for part in line.split("  ")[3:]] for line in lines]
    return systems.weights(run), numbers, diverged


def real(system: str, folder: str, **options):
    """Numbers of the second step of a real system on two devices."""
    settings = {"latent_channels": 16} if system == "mini" else {}
    preset = "" if system == "mini" else "hific-tiny"
    plan = start.new_plan(system, settings, preset, {"crop": 64, **options}, data=folder, steps=2)
    keep = trainer.RunOptions(tempfile.mkdtemp(), 100, 2, 0)
    session = start.begin(plan, keep, resume=False, strategy="mirrored")
    lines = []
    schedule = make_schedule(plan.options)
    trainer.fit(session.run, session.dataset(), schedule, Budget(2), say=lines.append)
    return session.strategy.num_replicas_in_sync, lines[-1]


def main() -> None:
    two = make_strategy("mirrored")
    found = {"replicas": two.num_replicas_in_sync}
    # A second strategy in a process would mix its reductions up with the first one's.
    start.make_strategy = lambda name: two
    if len(sys.argv) > 1:
        found["hific"] = real("hific", sys.argv[1], batch_size=2, stage=2)
        found["mini"] = real("mini", sys.argv[1], batch_size=2)
        print(json.dumps(found))
        return
    for accumulate in (1, 2):
        one, numbers, _ = toy(None, accumulate)
        other, their_numbers, _ = toy(two, accumulate)
        found[f"difference_{accumulate}"] = max(
            float(np.max(np.abs(a - b))) for a, b in zip(one, other)
        )
        found[f"lines_{accumulate}"] = [numbers, their_numbers]
    found["diverged"] = toy(two, 1, broken=1)[2]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
