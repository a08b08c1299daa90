"""A trained model back from its run."""

from __future__ import annotations

import os

import tensorflow as tf

from tfhific.errors import ModelError
from tfhific.models import registry
from tfhific.training.trainer import read_config


def restore_trained(run_dir: str):
    """The Keras model of a run at its latest checkpoint.

    Returns:
      The model, and a dict of how it was trained: system, configuration, step, minutes and what
      else `config.json` of the run says.

    Raises:
      TfhificError: when the folder holds no run.
      ModelError: when the run has no checkpoint yet.
    """
    stored = read_config(run_dir)
    config = registry.configuration(stored["system"], stored["config"])
    latest = tf.train.latest_checkpoint(os.path.join(run_dir, "checkpoints"))
    if latest is None:
        raise ModelError(f"The run {run_dir!r} has no checkpoint yet.")
    model = registry.create(stored["system"], config)
    model(tf.zeros([1, 64, 64, 3]))
    seconds = tf.Variable(0.0, dtype=tf.float64)
    step = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(
        model=model, seconds=seconds, optimizer=tf.train.Checkpoint(_iterations=step)
    )
    checkpoint.restore(latest).expect_partial().assert_existing_objects_matched()
    training = {**stored, "step": int(step.numpy()), "minutes": float(seconds.numpy()) / 60}
    return model, training
