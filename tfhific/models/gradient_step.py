"""One gradient step: accumulation, loss scaling, replicas, clipping, nothing that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfhific.models.draws import Draws
from tfhific.models.training_state import Training


def minimise(
    training: Training,
    draws: Callable[..., Draws],
    loss_of: Callable,
    data,
    optimizers: Sequence[str] = ("main",),
    prefix: str = "",
) -> dict:
    """One gradient step of some optimisers on a loss.

    Args:
      training: what there is to train with.
      draws: the random numbers of a part of the batch, by the part's number.
      loss_of: takes a part of `data` and its `Draws`; returns a scalar loss and a dict of
        numbers for the log, of any shape, whose means are kept.
      data: tensors, nested, with a common batch axis; cut into `accumulate` parts.
      optimizers: which ones. Each moves the variables of its group.
      prefix: of "gradient_norm" in the result.

    Returns:
      The numbers for the log, float32 scalars, means over parts and replicas, and the
      gradient's norm before clipping. Where it is not finite, nothing was changed; with loss
      scaling it is reported as 0 as long as the scale can still be lowered.
    """
    names = [name for name in optimizers if training.groups.get(name)]
    variables = [v for name in names for v in training.groups[name]]
    gradients, report = _gradients(training, draws, loss_of, data, variables)
    scale = training.loss_scale
    if scale is not None:
        gradients = [g / scale.scale for g in gradients]
    norm = tf.linalg.global_norm(gradients) if gradients else tf.zeros([])
    finite = tf.math.is_finite(norm)
    limit = training.options.clip_norm
    if limit > 0 and gradients:
        gradients, _ = tf.clip_by_global_norm(gradients, limit, use_norm=norm)
    if gradients:
        _apply(training, finite, names, gradients)
    report[f"{prefix}gradient_norm"] = norm
    if scale is not None:
        lowered = tf.logical_and(tf.logical_not(finite), scale.scale > 1.0)
        report[f"{prefix}gradient_norm"] = tf.where(lowered, 0.0, norm)
        report["loss_scale"] = tf.identity(scale.scale)
        scale.update(finite)
    return report


def _gradients(
    training: Training, draws: Callable[..., Draws], loss_of: Callable, data, variables: list
) -> tuple[list, dict]:
    scale = training.loss_scale
    count = training.options.accumulate

    def measure(part):
        pieces = data
        if count > 1:
            pieces = tf.nest.map_structure(lambda x: _part(x, part, count), data)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss, report = loss_of(pieces, draws(part))
            target = tf.cast(loss, tf.float32)
            target = target * scale.scale if scale is not None else target
        gradients = tape.gradient(
            target, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        report = {k: tf.reduce_mean(tf.cast(v, tf.float32)) for k, v in report.items()}
        return [tf.convert_to_tensor(g) for g in gradients], report

    gradients, report = measure(0)
    if count > 1:
        total = tf.while_loop(
            lambda part, *_: part < count,
            lambda part, *sums: (
                part + 1,
                *tf.nest.map_structure(tf.add, sums, measure(part)),
            ),
            (1, gradients, report),
            parallel_iterations=1,
        )
        gradients, report = tf.nest.map_structure(lambda x: x / count, total[1:])
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        gradients, report = context.all_reduce(tf.distribute.ReduceOp.MEAN, (gradients, report))
    return list(gradients), dict(report)


def _apply(training: Training, finite: tf.Tensor, names: list[str], gradients: list) -> None:
    """Applies finite gradients; otherwise weights, slots and counts stay as they are."""

    def apply(*gradients) -> None:
        place = 0
        for name in names:
            variables = training.groups[name]
            pairs = zip(gradients[place : place + len(variables)], variables)
            place += len(variables)
            training.optimizers[name].apply_gradients(pairs, skip_gradients_aggregation=True)

    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        _when(finite, lambda: apply(*gradients))
        return

    # With several replicas an optimiser calls all of them together, which a branch of one
    # replica must not: the branch itself is taken by all of them together.
    def together(strategy, finite, *gradients) -> None:
        finite = strategy.experimental_local_results(finite)[0]
        _when(finite, lambda: strategy.extended.call_for_each_replica(apply, gradients))

    context.merge_call(together, (finite, *gradients))


def _when(condition: tf.Tensor, do: Callable) -> None:
    def yes() -> tf.Tensor:
        do()
        return tf.constant(True)

    tf.cond(condition, yes, lambda: tf.constant(False))


def _part(x: tf.Tensor, part, count: int) -> tf.Tensor:
    size = x.shape[0] // count if x.shape[0] is not None else -1
    return tf.reshape(x, tf.concat([[count, size], tf.shape(x)[1:]], 0))[part]
