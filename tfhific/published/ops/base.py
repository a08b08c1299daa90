"""What a layer kind of a published network says of itself, and the table of kinds.

A stored layer is a JSON object with an `op`, the kind's name, its settings, and a `name` that the
names of its arrays begin with where it has any. An `Op` is made of one and of its arrays' shapes:
that checks both. It then answers, without TensorFlow, how it changes channels and sides and how
far it looks; its `run` takes a tensor and changes nothing.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar

from tfhific.errors import ModelError

if TYPE_CHECKING:
    import tensorflow as tf

MAX_DEPTH = 16
"""So deep may branches lie in branches; what ships has two."""

Layer = dict[str, Any]
"""A layer as it is stored: JSON values by setting."""

ArrayOf = Callable[[str, "tf.Tensor"], "tf.Tensor"]
"""Gives an array by its stored name, in a tensor's dtype."""


class Shaped(Protocol):
    """An array, as far as a check of its shape goes."""

    @property
    def shape(self) -> tuple[int, ...]: ...


class Flow(NamedTuple):
    """What passes from one layer to the next, as far as it is known without the picture's size.

    Attributes:
      channels: of every position; None where that is not known.
      vector: whether there is one position alone.
    """

    channels: int | None = None
    vector: bool = False


class Extent(NamedTuple):
    """What has to be known of layers to run them in tiles.

    Attributes:
      reach: input positions to any side that an output position can depend on.
      factor: input positions from one output position to the next.
      values: of the largest tensor that a convolution takes or gives, per input position.
    """

    reach: Fraction = Fraction(0)
    factor: Fraction = Fraction(1)
    values: Fraction = Fraction(0)


class Op(abc.ABC):
    """One layer of a published network, checked.

    A new kind is a subclass with a `kind`, its `ranks`, and what differs from the defaults here,
    which are those of a layer that looks at one value at a time.

    Attributes:
      kind: what it is stored under; never changed once a model with it has been published.
      ranks: the arrays that it stores, and how many dimensions each has.
      layer: as it is stored.
      name: begins its arrays' names.
      shapes: of its arrays.
    """

    kind: ClassVar[str]
    ranks: ClassVar[Mapping[str, int]] = {}

    def __init__(self, layer: Layer, arrays: Mapping[str, Shaped], depth: int = 0) -> None:
        """Initializer.

        Args:
          layer: as it is stored.
          arrays: by their stored names, of the whole network.
          depth: how many branches it lies in.

        Raises:
          ModelError: when a setting or an array is missing, or not what it should be.
        """
        self.layer = layer
        self.name = str(layer.get("name", ""))
        self.shapes = {array: self._shape_of(array, arrays) for array in self.ranks}
        self.check()

    @classmethod
    def entry(cls, **settings: Any) -> Layer:
        """The layer of this kind with some settings, as it is stored."""
        return {"op": cls.kind, **settings}

    def stored(self, array: str) -> str:
        """The name that one of its arrays is stored under."""
        return f"{self.name}/{array}"

    def check(self) -> None:  # noqa: B027 (many kinds have nothing to add)
        """Refuses impossible settings, and arrays whose shapes do not fit them or each other.

        Raises:
          ModelError: saying what was expected.
        """

    @abc.abstractmethod
    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        """What the layer makes of a tensor, float [batch, height, width, channels], in its dtype.

        Args:
          x: the input; a layer of vectors takes or gives [batch, channels].
          arrays: gives the layer's arrays.
        """

    def after(self, flow: Flow) -> Flow:
        """What comes out of the layer.

        Raises:
          ModelError: when the layer can't take what goes in.
        """
        return flow

    @property
    def factor(self) -> Fraction:
        """Downsampling over upsampling."""
        return Fraction(1)

    @property
    def radius(self) -> Fraction:
        """Input positions to any side that an output position can depend on."""
        return Fraction(0)

    @property
    def widths(self) -> tuple[int, int]:
        """Channels in and out that count for memory: those of convolutions."""
        return 0, 0

    @property
    def extent(self) -> Extent:
        """What tiling has to know.

        Raises:
          ModelError: for a layer that can't run in tiles.
        """
        inward, outward = (Fraction(channels) for channels in self.widths)
        return Extent(self.radius, self.factor, max(inward, outward / self.factor**2))

    def same(self, found: int | None, expected: int | None) -> int | None:
        """The number of channels where two numbers, known or not, are one.

        Raises:
          ModelError: where they differ.
        """
        if found is None or expected is None:
            return expected if found is None else found
        if found != expected:
            raise ModelError(
                f"The model's layer {self.name or self.kind!r} expects {expected} channels and "
                f"receives {found}."
            )
        return found

    def refuse(self, expected: str) -> ModelError:
        """The error that says what was expected of the layer."""
        return ModelError(f"Expected {expected}. Received: {self.layer!r:.200}.")

    def untiled(self) -> ModelError:
        """The error that says that the layer can't run in tiles."""
        return ModelError(
            f"The model's layer {self.name or self.kind!r} ({self.kind}) works on whole pictures: "
            "a network with it can't run in tiles."
        )

    def _shape_of(self, array: str, arrays: Mapping[str, Shaped]) -> tuple[int, ...]:
        name, rank = self.stored(array), self.ranks[array]
        if not isinstance(self.layer.get("name"), str) or name not in arrays:
            raise ModelError(
                f"The model lacks the array {name!r} of its layer {self.layer!r:.200}."
            )
        shape = tuple(arrays[name].shape)
        if len(shape) != rank:
            raise ModelError(
                f"The model's array {name!r} should have {rank} dimensions. "
                f"Received: shape {shape}."
            )
        return shape


class PerChannel(Op):
    """An op whose arrays have an entry a channel on every axis."""

    def after(self, flow: Flow) -> Flow:
        channels = flow.channels
        for shape in self.shapes.values():
            for side in shape:
                channels = self.same(channels, side)
        return flow._replace(channels=channels)


class WholePicture(Op):
    """An op whose every output depends on the whole picture, or that leaves its grid."""

    @property
    def extent(self) -> Extent:
        raise self.untiled()


KINDS: dict[str, type[Op]] = {}
"""The kinds of layers by the names that they are stored under: see `register`."""

Kind = TypeVar("Kind", bound=type[Op])


def register(op: Kind) -> Kind:
    """Makes a kind known, so that networks with it can be folded, stored, read and run.

    A decorator of a subclass of `Op`.

    Raises:
      ModelError: when its name is another kind's.
    """
    other = KINDS.setdefault(op.kind, op)
    if other is not op:
        raise ModelError(
            f"A layer kind is stored as {op.kind!r} already, {other.__name__}: give "
            f"{op.__name__} another name."
        )
    return op


def read_layer(layer: object, arrays: Mapping[str, Shaped], depth: int = 0) -> Op:
    """The op of a stored layer.

    Args:
      layer: JSON, from anywhere.
      arrays: by their stored names.
      depth: how many branches it lies in.

    Raises:
      ModelError: when it is none, of an unknown kind, or impossible.
    """
    kind = layer.get("op") if isinstance(layer, dict) else None
    if not isinstance(layer, dict) or not isinstance(kind, str):
        raise ModelError(f"Expected a layer of the model with its `op`. Received: {layer!r:.200}.")
    if kind not in KINDS:
        raise ModelError(
            f"The model has a layer that this version does not know: {layer!r:.200}. "
            "A newer tfhific may read it."
        )
    return KINDS[kind](layer, arrays, depth)


def read_layers(layers: object, arrays: Mapping[str, Shaped], depth: int = 0) -> tuple[Op, ...]:
    """The ops of stored layers; see `read_layer`.

    Raises:
      ModelError: also when branches are nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise ModelError(f"The model's branches are nested more than {MAX_DEPTH} deep.")
    if not isinstance(layers, list):
        raise ModelError(f"Expected a list of layers in the model. Received: {layers!r:.200}.")
    return tuple(read_layer(layer, arrays, depth) for layer in layers)


def run_all(ops: Iterable[Op], x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
    """What ops in a row make of a tensor: see `Op.run`."""
    for op in ops:
        x = op.run(x, arrays)
    return x


def flow_after(ops: Iterable[Op], flow: Flow) -> Flow:
    """What comes out of ops in a row: see `Op.after`.

    Raises:
      ModelError: when one does not fit the one before it, or branches each other.
    """
    for op in ops:
        flow = op.after(flow)
    return flow


def factor_of(ops: Iterable[Op]) -> Fraction:
    """Downsampling over upsampling of ops in a row."""
    return math.prod((op.factor for op in ops), start=Fraction(1))


def extent_of(ops: Sequence[Op]) -> Extent:
    """The extent of ops in a row.

    Raises:
      ModelError: when one of them can't run in tiles.
    """
    reach, step, values = Extent()
    for op in ops:
        own = op.extent
        reach += step * own.reach
        values = max(values, own.values / step**2)
        step *= own.factor
    return Extent(reach, step, values)


def is_whole(value: object, low: int, high: int) -> bool:
    """Whether a JSON value is a whole number from `low` to `high`; true and 1.0 are none."""
    return type(value) is int and low <= value <= high


def is_real(value: object) -> bool:
    """Whether a JSON value is a finite real number."""
    return isinstance(value, float) and math.isfinite(value)
