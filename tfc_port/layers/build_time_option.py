"""Attributes of layers that may change until the layer is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class BuildTimeOption(Generic[T]):
    """Descriptor that normalises what is assigned, and refuses assignments after `build`.

    The value lies in the attribute of the same name with an underscore in front. Objects that hold
    variables are tracked by Keras under both names, as they are in TFC: checkpoints depend on it.
    """

    def __init__(self, normalize: Callable[[Any, Any], T], doc: str | None = None) -> None:
        """Makes the descriptor.

        Args:
          normalize: Function of the layer and the value assigned; returns the value to keep.
          doc: What the attribute means.
        """
        self._normalize = normalize
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = f"_{name}"

    @overload
    def __get__(self, layer: None, owner: type | None = None) -> BuildTimeOption[T]: ...

    @overload
    def __get__(self, layer: object, owner: type | None = None) -> T: ...

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else self._read(layer)

    def _read(self, layer: Any) -> T:
        return getattr(layer, self._attribute)

    def __set__(self, layer: Any, value: Any) -> None:
        if layer.built:
            raise RuntimeError("Can't modify layer attributes after it has been built.")
        setattr(layer, self._attribute, self._normalize(layer, value))


def boolean(doc: str | None = None) -> BuildTimeOption[bool]:
    """An option that is True or False."""
    return BuildTimeOption(lambda layer, value: bool(value), doc)


def one_of(values: tuple[str, ...], what: str) -> BuildTimeOption[str]:
    """An option that is one of some strings.

    Args:
      values: The strings.
      what: How the error message calls the option.
    """

    def normalize(layer: object, value: object) -> str:
        if str(value) not in values:
            raise ValueError(
                f"Unknown {what}: expected one of {', '.join(map(repr, values))}. "
                f"Received: {str(value)!r}."
            )
        return str(value)

    return BuildTimeOption(normalize)
