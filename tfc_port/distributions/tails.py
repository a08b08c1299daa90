"""Where distributions end, and where their quantisation is centred, for range coding."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import tensorflow as tf

from tfc_port._types import Distribution, DTypeLike, Numeric, ShapeLike, TensorLike

_MOST_STEPS_AFTER_CROSSING = 100
_CLOSE_ENOUGH = 1e-8
_STEP_SIZE = 0.1


def estimate_tails(
    func: Callable[[tf.Tensor], tf.Tensor], target: TensorLike, shape: ShapeLike, dtype: DTypeLike
) -> tf.Tensor:
    """Solves func(x) = target elementwise, for a monotonic `func`.

    An Adam iteration from 0 on |func(x) - target|, whose steps shrink once an element has passed
    its solution. It ends when every element has made 100 steps since then, or all are within 1e-8.

    Args:
      func: Callable, from a tensor of shape `shape` to one of the same shape; a (log) cumulative
        distribution function, for instance.
      target: Number or tensor that broadcasts to `shape`.
      shape: int32 vector.
      dtype: Floating-point type.

    Returns:
      Tensor of `shape`: the best x met.
    """
    with tf.name_scope("estimate_tails"):
        dtype = tf.as_dtype(dtype)
        shape = tf.convert_to_tensor(shape, tf.int32)
        target = tf.convert_to_tensor(target, dtype)

        def unfinished(state: dict[str, tf.Tensor]) -> tf.Tensor:
            far = tf.reduce_max(state["loss"]) > _CLOSE_ENOUGH
            return far & (tf.reduce_min(state["crossed"]) < _MOST_STEPS_AFTER_CROSSING)

        def step(state: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor]]:
            tails, crossed = state["tails"], state["crossed"]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(tails)
                loss = tf.abs(func(tails) - target)
            gradient = tape.gradient(loss, tails)
            better = loss < state["best_loss"]
            mean = (state["mean"] + gradient) / 2
            square = (state["square"] + tf.square(gradient)) / 2
            slowing = tf.math.sqrt(tf.cast(crossed + 1, dtype))
            # `func` being monotonic, the gradient keeps its sign until the solution is passed.
            passed = (crossed > 0) | (state["mean"] * gradient < 0)
            return (
                {
                    "tails": tails - _STEP_SIZE * mean / (slowing * tf.sqrt(square) + 1e-20),
                    "mean": mean,
                    "square": square,
                    "loss": loss,
                    "crossed": tf.where(passed, crossed + 1, crossed),
                    "best_tails": tf.where(better, tails, state["best_tails"]),
                    "best_loss": tf.where(better, loss, state["best_loss"]),
                },
            )

        zeros, ones = tf.zeros(shape, dtype), tf.ones(shape, dtype)
        start = {
            "tails": zeros,
            "mean": zeros,
            "square": ones,
            "loss": ones * dtype.max,
            "crossed": tf.zeros(shape, tf.int32),
            "best_tails": zeros,
            "best_loss": ones * dtype.max,
        }

        def solve() -> tf.Tensor:
            (final,) = tf.while_loop(unfinished, step, (start,))
            return final["best_tails"]

        # Hundreds of steps: a graph takes each in a small part of the time.
        if not tf.executing_eagerly():
            return solve()
        return tf.function(solve, autograph=False).get_concrete_function()()


def quantization_offset(distribution: Distribution) -> tf.Tensor:
    """Where to centre the bins of a uniform quantiser for values of a distribution.

    The fractional part of the distribution's own `_quantization_offset`, else of its mode, else its
    median, else its mean, whichever it implements first; 0 where it implements none. Centring a bin
    on the mode: section III.A of Balle et al., "Nonlinear Transform Coding",
    https://doi.org/10.1109/JSTSP.2020.3034501.

    Args:
      distribution: A `tfp.distributions.Distribution`.

    Returns:
      Tensor that broadcasts to the batch shape, in [-1/2, 1/2]. No gradient flows through it.
    """
    offset = _first_implemented(
        lambda: distribution._quantization_offset(),
        distribution.mode,
        lambda: distribution.quantile(0.5),
        distribution.mean,
        lambda: tf.constant(0, dtype=distribution.dtype),
    )
    return tf.stop_gradient(offset - tf.round(offset))


def lower_tail(distribution: Distribution, tail_mass: Numeric) -> tf.Tensor:
    """The quantile below which about half of `tail_mass` lies.

    Args:
      distribution: A `tfp.distributions.Distribution`.
      tail_mass: Number in (0, 1), the probability of both tails together.

    Returns:
      Tensor that broadcasts to the batch shape. No gradient flows through it.

    Raises:
      NotImplementedError: if the distribution implements none of `_lower_tail`, `quantile` and
        `log_cdf`.
    """
    return _tail(distribution, tail_mass, "_lower_tail", tail_mass / 2, "log_cdf")


def upper_tail(distribution: Distribution, tail_mass: Numeric) -> tf.Tensor:
    """The quantile above which about half of `tail_mass` lies.

    Args:
      distribution: A `tfp.distributions.Distribution`.
      tail_mass: Number in (0, 1), the probability of both tails together.

    Returns:
      Tensor that broadcasts to the batch shape. No gradient flows through it.

    Raises:
      NotImplementedError: if the distribution implements none of `_upper_tail`, `quantile` and
        `log_survival_function`.
    """
    return _tail(distribution, tail_mass, "_upper_tail", 1 - tail_mass / 2, "log_survival_function")


def _tail(
    distribution: Distribution,
    tail_mass: Numeric,
    own_method: str,
    probability: Numeric,
    log_function: str,
) -> tf.Tensor:
    def estimated() -> tf.Tensor:
        return estimate_tails(
            getattr(distribution, log_function),
            tf.math.log(tf.cast(tail_mass / 2, distribution.dtype)),
            distribution.batch_shape_tensor(),
            distribution.dtype,
        )

    def none_left() -> NoReturn:
        raise NotImplementedError(
            f"`distribution` must implement `{own_method}()`, `quantile()`, or "
            f"`{log_function}()` so that its tail can be located. Received: {distribution}."
        )

    tail = _first_implemented(
        lambda: getattr(distribution, own_method)(tail_mass),
        lambda: distribution.quantile(probability),
        estimated,
        none_left,
    )
    return tf.stop_gradient(tail)


def _first_implemented(own: Callable[[], tf.Tensor], *others: Callable[[], tf.Tensor]) -> tf.Tensor:
    """The result of the first way that is implemented; the last one is."""
    try:
        return own()
    except (AttributeError, NotImplementedError):
        # Either the distribution has no such method, or what it adapts hasn't.
        pass
    for way in others[:-1]:
        try:
            return way()
        except NotImplementedError:
            pass
    return others[-1]()
