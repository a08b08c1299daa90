"""Priors that integers select."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from tfc_port._types import Distribution, DTypeLike, ParameterFns, PriorFn, TensorLike
from tfc_port.ops.bounds import lower_bound, upper_bound


class PriorFamily:
    """Mixin of entropy models whose prior is `prior_fn` of functions of indexes."""

    @staticmethod
    def _check_family(prior_fn: PriorFn, parameter_fns: ParameterFns) -> None:
        """Checks the arguments that describe a family of priors.

        Raises:
          TypeError: if `prior_fn` or a value of `parameter_fns` is not callable, or a key no
            string.
        """
        if not callable(prior_fn) or isinstance(prior_fn, tf.Module):
            raise TypeError("`prior_fn` must be a class or factory function.")
        for name, function in parameter_fns.items():
            if not isinstance(name, str):
                raise TypeError("`parameter_fns` must have string keys.")
            if not callable(function):
                raise TypeError(f"`parameter_fns['{name}']` must be callable.")

    def _set_family(
        self,
        prior_fn: PriorFn,
        parameter_fns: ParameterFns,
        prior_dtype: DTypeLike,
        index_ranges: Iterable[int],
    ) -> None:
        self._prior_fn = prior_fn
        self._parameter_fns = dict(parameter_fns)
        self._prior_dtype = tf.as_dtype(prior_dtype)
        self._index_ranges = tuple(int(size) for size in index_ranges)

    @property
    def index_ranges(self) -> tuple[int, ...]:
        """Number of values of each index."""
        return self._index_ranges

    @property
    def parameter_fns(self) -> dict[str, Callable[[tf.Tensor], TensorLike]]:
        """Functions from indexes to parameters of the prior."""
        return self._parameter_fns

    @property
    def prior_dtype(self) -> tf.DType:
        """Type of the prior."""
        return self._prior_dtype

    @property
    def prior_fn(self) -> PriorFn:
        """Callable that returns the prior."""
        return self._prior_fn

    def _make_prior(self, indexes: tf.Tensor) -> Distribution:
        indexes = tf.cast(indexes, self.prior_dtype)
        return self.prior_fn(**{name: fn(indexes) for name, fn in self.parameter_fns.items()})


def all_indexes(index_ranges: Sequence[int], channel_axis: int | None) -> tf.Tensor:
    """Every combination of indexes, int32, with the combination along `channel_axis`."""
    if channel_axis is None:
        (size,) = index_ranges
        return tf.range(size, dtype=tf.int32)
    grids = tf.meshgrid(*(tf.range(size, dtype=tf.int32) for size in index_ranges), indexing="ij")
    return tf.stack(grids, axis=channel_axis)


def clamp_indexes(
    indexes: TensorLike, index_ranges: Sequence[int], channel_axis: int | None
) -> tf.Tensor:
    """Indexes brought into their ranges, with gradients that lead back into them."""
    indexes = lower_bound(indexes, 0)
    if channel_axis is None:
        (size,) = index_ranges
        return upper_bound(indexes, tf.cast(size - 1, indexes.dtype))
    shape = [1] * indexes.shape.rank
    shape[channel_axis] = len(index_ranges)
    highest = tf.reshape([size - 1 for size in index_ranges], shape)
    return upper_bound(indexes, tf.cast(highest, indexes.dtype))


def flatten_indexes(
    indexes: tf.Tensor, index_ranges: Sequence[int], channel_axis: int | None
) -> tf.Tensor:
    """The table's number for each combination of indexes, int32; the last one varies fastest."""
    indexes = tf.cast(indexes, tf.int32)
    if channel_axis is None:
        return indexes
    strides = tf.math.cumprod(index_ranges, exclusive=True, reverse=True)
    return tf.linalg.tensordot(indexes, strides, [[channel_axis], [0]])
