"""The range coder through tensorflow-compression's own kernels, N streams in parallel.

Only the kernel library is loaded, not the Python package around it, which would import
tensorflow-probability and more. Needs `tensorflow-compression` or `tensorflow-compression-ops`
built for the TensorFlow that is installed.
"""

from __future__ import annotations

import functools
import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfc_port.coding.errors import CodingError
from tfc_port.coding.tables import MAX_PRECISION, Tables

# Of each package, the kernel library, spelled as the package itself spells its path; and the module
# that holds the ops once the package is imported. TensorFlow knows a loaded library by the spelling
# of its path: loaded under another one, its ops would count as registered already, and whoever came
# second would get a module without functions.
_PACKAGES = {
    "tensorflow_compression": (
        "python/ops/../../cc/libtensorflow_compression.so",
        "tensorflow_compression.python.ops.gen_ops",
    ),
    "tensorflow_compression_ops": (
        "cc/libtensorflow_compression.so",
        "tensorflow_compression_ops",
    ),
}
_NEEDED = (
    "create_range_encoder",
    "create_range_decoder",
    "entropy_encode_index",
    "entropy_encode_finalize",
    "entropy_decode_index",
    "entropy_decode_finalize",
)


def _library_of(package: str) -> str | None:
    """Returns the path of a package's kernel library, None if the package is not installed."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    library, _ = _PACKAGES[package]
    return f"{pathlib.Path(spec.origin).parent}/{library}"


def _has_kernels(module: object) -> bool:
    return all(hasattr(module, name) for name in _NEEDED)


@functools.lru_cache(maxsize=1)
def kernels() -> Any:
    """Returns a module with the range coder's ops.

    Raises:
      CodingError: where no kernels are installed, or they don't fit the TensorFlow that is.
    """
    import tensorflow as tf

    reasons = []
    for package in _PACKAGES:
        imported = sys.modules.get(_PACKAGES[package][1])
        if _has_kernels(imported) and not hasattr(imported, "__tfc_port_alias__"):
            return imported
        path = _library_of(package)
        if path is None:
            reasons.append(f"{package} is not installed")
            continue
        try:
            module = tf.load_op_library(path)
        except (tf.errors.OpError, RuntimeError, OSError) as error:
            reasons.append(f"{package} does not load: {str(error).splitlines()[0]}")
            continue
        if _has_kernels(module):
            return module
        reasons.append(f"{package} lacks the range coder's ops")
    raise CodingError(
        'The "native" coder needs tensorflow-compression\'s kernels '
        f'({"; ".join(reasons)}). Use "graph" or "python", which read and write the same bytes.'
    )


def is_available() -> bool:
    """Returns whether the kernels load."""
    if importlib.util.find_spec("tensorflow") is None:
        return False
    try:
        kernels()
    except CodingError:
        return False
    return True


def _deal(array: np.ndarray, streams: int, steps: int, filler: int) -> np.ndarray:
    """Returns `array`, the k-th entry dealt to stream k mod N, as [streams, steps]."""
    if array.size < streams * steps:
        padded = np.full(streams * steps, filler, np.int32)
        padded[: array.size] = array
        array = padded
    return np.ascontiguousarray(array.reshape(steps, streams).T)


def _with_certain_row(tables: Tables) -> np.ndarray:
    """Returns the lookup tensor and one more row, of one symbol: filler that costs nothing."""
    return np.concatenate([tables.lookup16, np.array([MAX_PRECISION, 0, 1 << MAX_PRECISION], "i4")])


def encode_streams(
    symbols: np.ndarray, rows: np.ndarray, tables: Tables, streams: int
) -> list[bytes]:
    """Codes int32 [m] symbols, each less than the size of its row, int32 [m], as N strings."""
    import tensorflow as tf

    ops = kernels()
    steps = -(-symbols.size // streams)
    with tf.init_scope(), tf.device("/CPU:0"):
        handle = ops.create_range_encoder([streams], _with_certain_row(tables))
        handle = ops.entropy_encode_index(
            handle, _deal(rows, streams, steps, tables.rows), _deal(symbols, streams, steps, 0)
        )
        return ops.entropy_encode_finalize(handle).numpy().tolist()


def decode_streams(strings: Sequence[bytes], rows: np.ndarray, tables: Tables) -> np.ndarray:
    """Decodes N strings into int32 [m] symbols of the given rows, int32 [m].

    Raises:
      CodingError: where a string does not end as an encoder ends it.
    """
    import tensorflow as tf

    ops = kernels()
    streams = len(strings)
    steps = -(-rows.size // streams)
    with tf.init_scope(), tf.device("/CPU:0"):
        handle = ops.create_range_decoder(
            tf.constant(strings, tf.string), _with_certain_row(tables)
        )
        handle, symbols = ops.entropy_decode_index(
            handle, _deal(rows, streams, steps, tables.rows), [steps], tf.int32
        )
        sound = ops.entropy_decode_finalize(handle).numpy()
        symbols = symbols.numpy()
    if not sound.all():
        raise CodingError(
            f"Every stream must end as an encoder ends it; stream {int(np.argmin(sound))} of "
            f"{streams} does not."
        )
    return symbols.T.reshape(-1)[: rows.size]
