"""Training on several devices or machines."""

from __future__ import annotations

import contextlib
import json
import os

import tensorflow as tf

from tfhific.errors import TfhificError

STRATEGIES = ("none", "mirrored", "multiworker")


def make_strategy(name: str):
    """A `tf.distribute` strategy by the name that `--strategy` takes, or None for "none".

    "mirrored" uses all GPUs of this machine, or its (logical) CPUs where it has none;
    "multiworker" uses the machines that the environment variable TF_CONFIG names. It has to be
    made before TensorFlow runs anything.

    Raises:
      TfhificError: for another name, or without TF_CONFIG where it is needed.
    """
    if name == "none":
        return None
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multiworker":
        worker_number()
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise TfhificError(f"`strategy`: expected one of {', '.join(STRATEGIES)}. Received: {name!r}.")


def worker_number() -> int:
    """Which of the workers that TF_CONFIG names this process is.

    Raises:
      TfhificError: when TF_CONFIG is missing or isn't what TensorFlow documents.
    """
    try:
        task = json.loads(os.environ["TF_CONFIG"])["task"]
        index = int(task["index"])
        if task["type"] == "chief":
            return 0
        has_chief = "chief" in json.loads(os.environ["TF_CONFIG"])["cluster"]
    except (KeyError, ValueError, TypeError) as error:
        raise TfhificError(
            "`strategy=multiworker`: expected the environment variable TF_CONFIG to name the "
            'workers, such as {"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": '
            f'{{"type": "worker", "index": 0}}}}. ({type(error).__name__}: {error})'
        ) from None
    return index + has_chief


def scope(strategy):
    """The strategy's scope, in which variables are made; nothing special for None."""
    return strategy.scope() if strategy is not None else contextlib.nullcontext()


def check_batch(strategy, batch_size: int, accumulate: int) -> None:
    """Refuses a batch that doesn't divide among the replicas and their parts.

    Raises:
      TfhificError: naming the numbers.
    """
    replicas = strategy.num_replicas_in_sync if strategy is not None else 1
    if batch_size % (replicas * accumulate):
        raise TfhificError(
            f"`batch_size`: expected a multiple of {replicas * accumulate}, {replicas} devices "
            f"times `accumulate={accumulate}`. Received: {batch_size}."
        )


def distributable(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset with its elements, rather than its files, shared among workers."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)
