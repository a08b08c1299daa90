"""Layer kinds that are made of layers."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from tfhific.errors import ModelError
from tfhific.published.ops.base import (
    ArrayOf,
    Extent,
    Flow,
    Layer,
    Op,
    Shaped,
    extent_of,
    factor_of,
    flow_after,
    read_layers,
    register,
    run_all,
)

if TYPE_CHECKING:
    import tensorflow as tf


@register
class Sum(Op):
    """The sum of several branches on one input. Settings: `branches`, lists of layers."""

    kind = "sum"

    def __init__(self, layer: Layer, arrays: Mapping[str, Shaped], depth: int = 0) -> None:
        super().__init__(layer, arrays, depth)
        self.branches = tuple(read_layers(each, arrays, depth + 1) for each in layer["branches"])

    def check(self) -> None:
        branches = self.layer.get("branches")
        if not isinstance(branches, list) or not branches:
            raise self.refuse("branches to sum up")

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.add_n([run_all(branch, x, arrays) for branch in self.branches])

    def after(self, flow: Flow) -> Flow:
        first, *others = (flow_after(branch, flow) for branch in self.branches)
        if any(factor_of(branch) != self.factor for branch in self.branches):
            raise ModelError("The model adds up branches of different strides.")
        for other in others:
            self.same(first.channels, other.channels)
        return first

    @property
    def factor(self) -> Fraction:
        return factor_of(self.branches[0])

    @property
    def extent(self) -> Extent:
        every = [extent_of(branch) for branch in self.branches]
        return Extent(
            max(one.reach for one in every), self.factor, max(one.values for one in every)
        )


@register
class Residual(Op):
    """The input plus what a branch makes of it. Settings: `branch`, a list of layers."""

    kind = "residual"

    def __init__(self, layer: Layer, arrays: Mapping[str, Shaped], depth: int = 0) -> None:
        super().__init__(layer, arrays, depth)
        self.branch = read_layers(layer.get("branch"), arrays, depth + 1)

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        return x + run_all(self.branch, x, arrays)

    def after(self, flow: Flow) -> Flow:
        if factor_of(self.branch) != 1:
            raise ModelError("The model adds a branch of another stride to its input.")
        channels = flow_after(self.branch, flow).channels
        return flow._replace(channels=self.same(flow.channels, channels))

    @property
    def extent(self) -> Extent:
        return extent_of(self.branch)
