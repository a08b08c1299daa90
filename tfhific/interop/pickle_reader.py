"""Pickles of tensors, read without executing them.

A pickle is a program for a small stack machine, and may name any Python function and have it
called. This reader runs the machine itself, and knows only what a checkpoint of tensors needs:
numbers, strings, containers, and the few names in `_KNOWN`, each of which stands for something
written here. A pickle that names anything else is refused, and nothing of it is imported or called.
"""

from __future__ import annotations

import collections
import dataclasses
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from tfhific.errors import ModelError

_MAX_OPCODES = 5_000_000
_MAX_RANK = 16
_MAX_MADE = 1 << 26
"""So many elements and characters calls may make: each copies what it is given."""
_KEYS = (str, int, float, bytes, type(None))
"""What a key may be, or a tuple of. To hash a deeper one may take for ever, or too much stack."""

STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""Element types of torch's storages; bfloat16 is what NumPy lacks."""


@dataclasses.dataclass(frozen=True)
class Storage:
    """A run of elements somewhere in the checkpoint.

    Attributes:
      dtype: a value of `STORAGE_DTYPES`.
      key: names it in the checkpoint.
      count: how many elements it has.
    """

    dtype: str
    key: str
    count: int


@dataclasses.dataclass(frozen=True)
class TensorRecord:
    """A tensor as the pickle describes it: a view of a storage, all of it inside.

    Attributes:
      storage: where its elements are.
      offset: of the first, in elements.
      shape: of the tensor.
      strides: in elements.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Namespace(dict):
    """An `argparse.Namespace`, its attributes as entries."""


def _shown(value: object) -> str:
    """A value in a message. What a pickle holds twice may be endless when it is written out."""
    plain = isinstance(value, (*_KEYS, bool))
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a large number"
    return f"{value!r:.80}" if plain else f"a {type(value).__name__}"


class _StorageType(str):
    """The name of a storage class."""

    __slots__ = ()


_MARK = object()


def _rebuild_tensor(storage, offset, shape, strides, *_) -> TensorRecord:
    if not isinstance(storage, Storage):
        raise ModelError("The checkpoint has a tensor without a storage.")
    if not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ModelError("The checkpoint has a tensor without a shape.")
    sizes = (offset, *shape, *strides)
    if any(type(n) is not int or n < 0 for n in sizes) or len(shape) != len(strides):
        raise ModelError("The checkpoint has a tensor of an impossible shape.")
    if len(shape) > _MAX_RANK:
        raise ModelError(f"The checkpoint has a tensor of {len(shape)} dimensions.")
    total, last = 1, offset
    for size, stride in zip(shape, strides):
        total *= size
        last += max(size - 1, 0) * stride
    # A small storage seen many times over could be a tensor of any size.
    if total > storage.count or (total and last >= storage.count):
        raise ModelError(
            f"The checkpoint has a tensor of the shape {tuple(shape)} in a storage of "
            f"{storage.count} elements."
        )
    return TensorRecord(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(data, *_) -> TensorRecord:
    if not isinstance(data, TensorRecord):
        raise ModelError("The checkpoint has a parameter that is no tensor.")
    return data


@dataclasses.dataclass
class _Dtype:
    """A NumPy dtype being put together."""

    name: str
    order: str = "<"


def _numpy_dtype(name, *_) -> _Dtype:
    if not isinstance(name, str) or name not in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "b1"):
        raise ModelError(f"The checkpoint has a NumPy number of the kind {_shown(name)}.")
    return _Dtype(name)


def _numpy_scalar(dtype, data=b"", *_):
    size = int(dtype.name[1:]) if isinstance(dtype, _Dtype) else -1
    if isinstance(data, str):
        data = data.encode("latin-1")
    if not isinstance(data, bytes) or len(data) != size:
        raise ModelError("The checkpoint has a NumPy number that is damaged.")
    order: Any = dtype.order if dtype.order in "<>" else "<"
    return np.frombuffer(data, np.dtype(dtype.name).newbyteorder(order))[0].item()


def _encoded(text, encoding, *_) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise ModelError("The checkpoint has bytes in an unknown encoding.")
    return text.encode("latin-1")


def _ordered(items=(), *_) -> dict:
    made = collections.OrderedDict()
    for pair in items.items() if isinstance(items, dict) else items:
        key, value = pair
        made[_key(key)] = value
    return made


def _key(key):
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, _KEYS) for part in parts):
        raise ModelError(f"The checkpoint has {_shown(key)} for a key: refused.")
    return key


def _size(values=(), *_) -> tuple:
    fits = isinstance(values, (tuple, list)) and len(values) <= _MAX_RANK
    if not fits or any(type(value) is not int for value in values):
        raise ModelError("The checkpoint has an impossible shape.")
    return tuple(values)


def _device(name, index=None, *_) -> str:
    if not isinstance(name, str) or type(index) not in (int, type(None)):
        raise ModelError("The checkpoint has a device that is none.")
    return name if index is None else f"{name}:{index}"


_KNOWN: dict[str, Callable] = {
    "collections.OrderedDict": _ordered,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch.Size": _size,
    "torch.device": _device,
    "numpy.dtype": _numpy_dtype,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy._core.multiarray.scalar": _numpy_scalar,
    "_codecs.encode": _encoded,
}


def _resolve(module, name):
    if not isinstance(module, str) or not isinstance(name, str):
        raise ModelError("The checkpoint's pickle asks for what has no name: refused.")
    known = f"{module}.{name}"
    if known == "argparse.Namespace":
        return _Namespace
    if known in _KNOWN:
        return _KNOWN[known]
    if module == "torch" and name in STORAGE_DTYPES:
        return _StorageType(name)
    raise ModelError(
        f"The checkpoint's pickle asks for {known[:120]!r}, which no checkpoint of tensors needs: "
        "refused, nothing of it was executed."
    )


def _storage(identity: Any) -> Storage:
    fits = isinstance(identity, tuple) and len(identity) >= 5 and identity[0] == "storage"
    if not fits or not isinstance(identity[1], _StorageType):
        raise ModelError("The checkpoint refers to something unknown, which is no storage.")
    key, count = identity[2], identity[4]
    if any(part is not None for part in identity[5:]):
        raise ModelError("The checkpoint has a storage that is a view of another: not supported.")
    if not isinstance(key, str) or type(count) is not int or count < 0:
        raise ModelError(f"The checkpoint has an impossible storage, {_shown(key)}.")
    return Storage(STORAGE_DTYPES[identity[1]], key, count)


def read_pickle(stream: BinaryIO) -> Any:
    """What a pickle describes.

    Args:
      stream: of bytes; it is left behind the pickle's end.

    Returns:
      Dicts, lists, tuples, numbers, strings, None, and `TensorRecord` where a tensor stood. An
      `argparse.Namespace` is a dict of its attributes.

    Raises:
      ModelError: when it is damaged, or asks for anything beyond tensors and plain values.
    """
    try:
        return _Machine().run(stream)
    except ModelError:
        raise
    except RecursionError:
        raise ModelError("The checkpoint's pickle is nested too deeply.") from None
    except Exception as error:
        # Whatever a malformed program makes this machine stumble over: it is malformed.
        raise ModelError(f"The checkpoint's pickle is damaged ({error!r:.120}).") from None


class _Machine:
    def __init__(self) -> None:
        self._stack: list = []
        self._memo: dict[int, Any] = {}
        self._made = 0

    def run(self, stream: BinaryIO) -> Any:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if number >= _MAX_OPCODES:
                raise ModelError("The checkpoint's pickle is too long.")
            name = opcode.name
            if name == "STOP":
                value = self._stack.pop()
                if value is _MARK or self._stack:
                    raise ModelError("The checkpoint's pickle is damaged: it ends too early.")
                return value
            if name in _PUSHED:
                self._stack.append(argument)
            elif name in _MADE:
                self._stack.append(_MADE[name]())
            else:
                handler = getattr(self, f"_{name.lower()}", None)
                if handler is None:
                    raise ModelError(
                        f"The checkpoint's pickle has the instruction {name}, which no "
                        "checkpoint of tensors needs: refused."
                    )
                handler(argument)
        raise ModelError("The checkpoint's pickle has no end.")

    def _above_mark(self) -> list:
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ModelError("The checkpoint's pickle is damaged: a mark is missing.")
        values = self._stack[place + 1 :]
        del self._stack[place:]
        return values

    def _proto(self, argument) -> None:
        if argument > 5:
            raise ModelError(f"The checkpoint's pickle has the unknown protocol {argument}.")

    def _frame(self, argument) -> None:
        pass

    def _pop(self, argument) -> None:
        self._stack.pop()

    def _mark(self, argument) -> None:
        self._stack.append(_MARK)

    def _put(self, argument) -> None:
        self._memo[int(argument)] = self._stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, argument) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, argument) -> None:
        self._stack.append(self._memo[int(argument)])

    _binget = _long_binget = _get

    def _tuple(self, argument) -> None:
        self._stack.append(tuple(self._above_mark()))

    def _last(self, count: int) -> None:
        values = tuple(self._stack[-count:])
        if len(values) < count:
            raise ModelError("The checkpoint's pickle is damaged: a value is missing.")
        self._stack[-count:] = [values]

    def _tuple1(self, argument) -> None:
        self._last(1)

    def _tuple2(self, argument) -> None:
        self._last(2)

    def _tuple3(self, argument) -> None:
        self._last(3)

    def _list(self, argument) -> None:
        self._stack.append(self._above_mark())

    def _dict(self, argument) -> None:
        values = self._above_mark()
        self._stack.append(dict(zip(map(_key, values[::2]), values[1::2])))

    def _append(self, argument) -> None:
        value = self._stack.pop()
        self._container(list).append(value)

    def _appends(self, argument) -> None:
        values = self._above_mark()
        self._container(list).extend(values)

    def _setitem(self, argument) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._container(dict)[_key(key)] = value

    def _setitems(self, argument) -> None:
        values = self._above_mark()
        self._container(dict).update(zip(map(_key, values[::2]), values[1::2]))

    def _container(self, kind: type):
        if not isinstance(self._stack[-1], kind):
            raise ModelError("The checkpoint's pickle is damaged: a container is missing.")
        return self._stack[-1]

    def _global(self, argument) -> None:
        self._stack.append(_resolve(*argument.split(" ", 1)))

    def _stack_global(self, argument) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(_resolve(module, name))

    def _binpersid(self, argument) -> None:
        self._stack.append(_storage(self._stack.pop()))

    def _reduce(self, argument) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not any(function is known for known in _KNOWN.values()):
            raise ModelError("The checkpoint's pickle calls what is not to be called: refused.")
        if not isinstance(arguments, tuple):
            raise ModelError("The checkpoint's pickle is damaged: a call has no arguments.")
        made = function(*arguments)
        if isinstance(made, (str, bytes, tuple, dict)):
            self._made += len(made)
            if self._made > _MAX_MADE:
                raise ModelError("The checkpoint's pickle makes too much of what it holds.")
        self._stack.append(made)

    def _newobj(self, argument) -> None:
        arguments, kind = self._stack.pop(), self._stack.pop()
        if kind is not _Namespace or arguments != ():
            raise ModelError("The checkpoint's pickle makes what is not to be made: refused.")
        self._stack.append(_Namespace())

    def _build(self, argument) -> None:
        # The state of an OrderedDict (torch's `_metadata`) says nothing about tensors.
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, _Dtype):
            if isinstance(state, tuple) and len(state) > 1 and isinstance(state[1], str):
                target.order = state[1]
        elif not isinstance(target, dict) or not isinstance(state, dict):
            raise ModelError("The checkpoint's pickle sets the state of what has none: refused.")
        elif isinstance(target, _Namespace):
            target.update(state)


_PUSHED = {
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
}
_MADE: dict[str, Callable] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
