"""From probabilities to the integer tables of the range coder."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from tfc_port._decorators import do_not_convert
from tfc_port._types import TensorLike
from tfc_port.ops._checks import require

_MAX_PRECISION = 16


@do_not_convert
def pmf_to_quantized_cdf(pmf: TensorLike, precision: int, name: str | None = None) -> tf.Tensor:
    """Quantises probability mass functions to cumulative counts that sum to 2**precision.

    Every probability is rounded to a count of at least 1. While the counts sum to too much, one is
    taken where the loss of code length, p log2(c / (c - 1)), is smallest; while they sum to too
    little, one is given where the gain, p log2((c + 1) / c), is largest. Among equal ones the first
    comes first, so that the result is a function of `pmf` alone. (TFC leaves the choice among
    equals to an unstable sort: its counts may differ by 1 between entries of equal probability.)

    Args:
      pmf: float32 tensor [..., n], n >= 2: finite, not negative; need not be normalised.
      precision: Python integer in 1..16 with 2**precision >= n.
      name: Name of the op.

    Returns:
      int32 tensor [..., n + 1], from 0 to 2**precision, strictly increasing.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described.
    """
    precision = int(precision)
    with tf.name_scope(name or "pmf_to_quantized_cdf"), tf.device("CPU:0"):
        require(
            1 <= precision <= _MAX_PRECISION,
            f"`precision` must be in [1, {_MAX_PRECISION}]. Received: {precision}.",
        )
        require(
            not tf.is_tensor(pmf) or getattr(pmf, "dtype", None) == tf.float32,
            f"`pmf` must have type float32. Received: {getattr(pmf, 'dtype', None)}.",
        )
        pmf = tf.convert_to_tensor(pmf, tf.float32, name="pmf")
        require(pmf.shape.rank != 0, "`pmf` should be at least 1-D. Received a scalar.")
        size = tf.shape(pmf)[-1]
        checks = [
            require(size >= 2, "`pmf` size should be at least 2 in the last axis. Received:", size),
            require(
                size <= 1 << precision,
                f"`pmf` has more entries than the {1 << precision} counts of precision "
                f"{precision}: raise `precision`. Received size:",
                size,
            ),
            require(
                tf.reduce_all(tf.math.is_finite(pmf) & (pmf >= 0)),
                "`pmf` has a non-finite or negative element: check the computation of "
                "probabilities for numerical problems.",
            ),
        ]
        with tf.control_dependencies([check for check in checks if check is not None]):
            mass = tf.cast(tf.reshape(pmf, tf.stack([-1, size])), tf.float64)
        counts = nearest_counts(mass, 1 << precision)
        cdf = tf.pad(tf.cumsum(counts, axis=-1), [[0, 0], [1, 0]])
        shape = tf.concat([tf.shape(pmf)[:-1], [size + 1]], 0)
        cdf = tf.reshape(tf.cast(cdf, tf.int32), shape)
        if pmf.shape[-1] is not None:
            cdf.set_shape(pmf.shape[:-1].concatenate(pmf.shape[-1] + 1))
        return cdf


def nearest_counts(mass: tf.Tensor, total: int, present: tf.Tensor | None = None) -> tf.Tensor:
    """The counts that `pmf_to_quantized_cdf` finds, for rows of different lengths.

    Args:
      mass: float64 [rows, n], not negative.
      total: Python integer, what each row's counts sum to.
      present: Boolean [rows, n], which entries there are; None for all. The others have no mass.

    Returns:
      int64 [rows, n]: at least 1 where there is an entry, else 0.
    """
    if present is None:
        present = tf.ones_like(mass, dtype=tf.bool)
    if tf.executing_eagerly():
        # Loops of small ops: as a graph they take a small part of the time.
        return _counts_function(total)(mass, present)
    return _nearest_counts(mass, total, present)


@functools.lru_cache(maxsize=_MAX_PRECISION)
def _counts_function(total: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    return tf.function(
        lambda mass, present: _nearest_counts(mass, total, present),
        input_signature=[
            tf.TensorSpec([None, None], tf.float64),
            tf.TensorSpec([None, None], tf.bool),
        ],
        autograph=False,
    )


def _nearest_counts(mass: tf.Tensor, total: int, present: tf.Tensor) -> tf.Tensor:
    # The limit keeps huge, unnormalised masses inside int64: beyond it only the order matters.
    counts = tf.cast(tf.minimum(tf.round(mass * total), 2.0**30), tf.int64)
    counts = tf.where(present, tf.maximum(counts, 1), tf.zeros_like(counts))
    for step, cost in ((-1, _loss), (+1, _negative_gain)):
        counts = _adjust(counts, total, step, cost, mass, present)
    return counts


def _adjust(
    counts: tf.Tensor,
    total: int,
    step: int,
    cost_of: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    mass: tf.Tensor,
    present: tf.Tensor,
) -> tf.Tensor:
    """Moves counts by `step`, always where `cost` is lowest, until the rows' sums reach `total`.

    One round of the loop makes all moves that certainly come before any second move of the same
    entry: those whose cost is at most the lowest cost of a second move. Since the cost of an entry
    rises with every move, the moves are those of the one-by-one procedure.
    """

    def cost(counts: tf.Tensor) -> tf.Tensor:
        return tf.where(present, cost_of(mass, counts), tf.constant(float("inf"), tf.float64))

    def distance(counts: tf.Tensor) -> tf.Tensor:
        return tf.maximum((total - tf.reduce_sum(counts, axis=-1, keepdims=True)) * step, 0)

    def one_round(counts: tf.Tensor) -> tuple[tf.Tensor]:
        now = cost(counts)
        second = tf.reduce_min(cost(counts + step), axis=-1, keepdims=True)
        order = tf.argsort(now, axis=-1, stable=True)
        rank = tf.cast(tf.argsort(order, axis=-1), tf.int64)
        moves = (now <= second) & (rank < distance(counts)) & tf.math.is_finite(now)
        return (counts + step * tf.cast(moves, tf.int64),)

    # A table far from normalised would take very many rounds; most of its way is one jump.
    far = tf.reduce_max(distance(counts)) > 2 * tf.cast(tf.shape(counts)[-1], tf.int64)
    counts = tf.cond(far, lambda: _jump(counts, total, step, mass, present), lambda: counts)
    return tf.while_loop(
        lambda counts: tf.reduce_any(distance(counts) > 0),
        one_round,
        (counts,),
        shape_invariants=(tf.TensorShape([None, None]),),
        parallel_iterations=1,
    )[0]


def _jump(
    counts: tf.Tensor, total: int, step: int, mass: tf.Tensor, present: tf.Tensor
) -> tf.Tensor:
    """Makes most of the moves at once, and none that the one-by-one procedure would not make.

    All moves that cost less than a threshold t come before all others. A count c may fall while
    p log2(c / (c - 1)) < t, so to about 1 / (1 - 2^(-t / p)), and rise while
    p log2((c + 1) / c) > t, so to about 1 / (2^(t / p) - 1). The best threshold is found by
    bisection of its logarithm; stopping one short of where it leads covers rounding.
    """
    exact = tf.cast(counts, tf.float64)
    positive = tf.maximum(mass, 1e-300)
    low = tf.fill(tf.stack([tf.shape(counts)[0], 1]), tf.constant(-1100.0, tf.float64))
    high = tf.zeros_like(low) + 140.0

    def moved(exponent: tf.Tensor, short: float = 0.0) -> tf.Tensor:
        ratio = tf.minimum(2.0**exponent / positive, 1000.0) * 0.6931471805599453
        if step < 0:
            reach = tf.math.floor(-1.0 / tf.math.expm1(-ratio)) + short
            return tf.minimum(exact, tf.maximum(reach, 1.0))
        reach = tf.math.floor(1.0 / tf.maximum(tf.math.expm1(ratio), 1e-15)) + 1.0 - short
        return tf.maximum(exact, tf.minimum(reach, 2.0**40))

    def bisect(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        middle = (low + high) / 2.0
        beyond = (tf.reduce_sum(moved(middle), axis=-1, keepdims=True) - total) * step > 0.0
        # A higher threshold lets more counts fall, and fewer rise.
        raise_low = tf.equal(beyond, step > 0)
        return tf.where(raise_low, middle, low), tf.where(raise_low, high, middle)

    low, high = tf.while_loop(
        lambda low, high: True, bisect, (low, high), maximum_iterations=64, parallel_iterations=1
    )
    jumped = tf.cast(moved(low if step < 0 else high, short=1.0), tf.int64)
    beyond = (tf.reduce_sum(jumped, axis=-1, keepdims=True) - total) * step > 0
    jumped = tf.where(beyond | ~present, counts, jumped)
    if step > 0:
        # Without any mass, all entries cost the same.
        missing = total - tf.reduce_sum(jumped, axis=-1, keepdims=True)
        share = missing // tf.reduce_sum(tf.cast(present, tf.int64), axis=-1, keepdims=True)
        empty = tf.reduce_max(mass, axis=-1, keepdims=True) == 0.0
        jumped = tf.where(empty & present, jumped + share, jumped)
    return jumped


def _loss(mass: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    value = tf.cast(counts, tf.float64)
    safe = tf.maximum(value, 2.0)
    loss = mass * (_log2(safe) - _log2(safe - 1.0))
    return tf.where(counts > 1, loss, tf.constant(float("inf"), tf.float64))


def _negative_gain(mass: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    value = tf.cast(counts, tf.float64)
    # Entries that are not there have count 0.
    value = tf.maximum(value, 1.0)
    return mass * (_log2(value) - _log2(value + 1.0))


def _log2(value: tf.Tensor) -> tf.Tensor:
    return tf.math.log(value) * 1.4426950408889634
