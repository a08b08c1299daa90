"""Trains a real system for some steps and prints its curve and pictures: a test's helper.

    train_together.py SYSTEM FOLDER STEPS

With TF_CONFIG it is one of two workers; without, a process alone that takes its batch in two parts,
which are the workers' shares: their noise and their draws of qualities are the same ones. `hific-2`
is HiFiC's second stage, where the first half of a worker's crops is the discriminator's.

Two processes that compute the same agree to the seventh digit only while every latent is rounded to
the same: one that is not moves the numbers by thousandths. So each sums in one order: `in_order`.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile

# As the commands do; read when `tf.keras` is first used.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import tensorflow as tf
from tensorflow.python.ops import gen_math_ops

from tfhific.models.draws import Draws
from tfhific.training import start, trainer
from tfhific.training.schedule import Budget, make_schedule

SMALL = {"latent_channels": 16, "hyper_channels": 8, "fine_channels": 8}
SYSTEMS: dict[str, tuple[dict[str, int], str]] = {
    "mini": ({**SMALL, "coarse_channels": 8}, ""),
    "mini2": (
        {**SMALL, "width": 12, "encoder_blocks": 1, "decoder_blocks": 1, "context_channels": 12},
        "",
    ),
    "hific": ({}, "hific-tiny"),
}


def in_order() -> None:
    """Makes sums of gradients the same bits in every process.

    `AddN` begins with whichever input's memory it can reuse by then. What `--deterministic` has
    against that, an executor with one thread, waits for ever where workers wait for each other.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    # Would make AddN of sums, and fuses other operations in a loop than outside of it.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    gen_math_ops.add_n = lambda inputs, name=None: functools.reduce(tf.add, inputs)


def check_order(graph: tf.Graph) -> None:
    """That nothing in a traced step is a sum whose order is open."""
    traced = graph.as_graph_def()
    for nodes in (traced.node, *(function.node_def for function in traced.library.function)):
        assert not [node.name for node in nodes if node.op == "AddN"]


def main(named: str, folder: str, steps: int) -> None:
    in_order()
    alone = "TF_CONFIG" not in os.environ
    system, _, stage = named.partition("-")
    settings, preset = SYSTEMS[system]
    options = {"crop": 64, "batch_size": 4, "learning_rate": 1e-3, "accumulate": 2 if alone else 1}
    if stage:
        # Of as many crops again: four a step in all.
        options |= {"stage": int(stage), "batch_size": 2}
    plan = start.new_plan(system, settings, preset, options, data=folder, steps=steps)
    keep = trainer.RunOptions(tempfile.mkdtemp(), save_every=1000, log_every=1, image_every=0)
    strategy = "none" if alone else "multiworker"
    session = start.begin(plan, keep, resume=False, strategy=strategy)
    model = session.run.model

    first_part = True

    def draws(part=0) -> Draws:
        nonlocal first_part
        # The others are in a loop, where their number is a tensor.
        first_part = isinstance(part, int)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        training = model.state()
        return Draws(training.options.seed, training.step, replica + part)

    if stage and alone:
        # The spectral norms take a step with each part; two workers take one together.
        discriminator = model.model.discriminator
        layers_of = discriminator.layers_of
        discriminator.layers_of = lambda images, latents, training=False: layers_of(
            images, latents, training and first_part
        )

    pictures: list[list[int]] = []

    def note(blue) -> None:
        pictures.append([int(value) for value in blue])

    step = model.train_step

    def noted(data):
        tf.numpy_function(note, [data[:, 0, 0, 2]], [])
        if stage and alone:
            data = tf.gather(data, [0, 2, 1, 3])
        report = step(data)
        check_order(tf.compat.v1.get_default_graph())
        return report

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
