"""Which runtime runs a model's networks."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tfhific.errors import ArgumentError, TfhificError

if TYPE_CHECKING:
    from tfhific.published.network import Network
    from tfhific.runtimes.base import Runtime

RUNTIMES = ("tensorflow", "litert")
"""Names, the fastest once it has started first."""

AUTO = "auto"
"""Asks for the first of `RUNTIMES` that is installed."""

LIGHT = "light"
"""Asks for the one that starts soonest: LiteRT where it is installed and suits, unless this process
has TensorFlow already."""

_PACKAGES = {"tensorflow": "tensorflow", "litert": "ai_edge_litert"}
_INSTALL = {
    "tensorflow": "in tfhific's folder, pip install '.[tensorflow]'",
    "litert": "pip install ai-edge-litert",
}


def installed(name: str) -> bool:
    """Whether a runtime's package is there, without importing it."""
    try:
        return importlib.util.find_spec(_PACKAGES[name]) is not None
    except (ImportError, ValueError):
        return False


def choose(
    wanted: str,
    able: tuple[str, ...],
    model: str,
    suits: Callable[[str], bool] = lambda name: True,
) -> str:
    """The runtime to use.

    Args:
      wanted: one of `RUNTIMES`, `AUTO` or `LIGHT`.
      able: those that the model's codec works with.
      model: its name, for messages.
      suits: whether one that is installed can do what is asked for; only `LIGHT` asks.

    Raises:
      ArgumentError: for another name.
      TfhificError: where it is not installed, or does not run such a model.
    """
    if wanted not in (AUTO, LIGHT, *RUNTIMES):
        raise ArgumentError(
            f"Expected a runtime among {AUTO}, {', '.join(RUNTIMES)}, {LIGHT}. "
            f"Received: {wanted!r}."
        )
    names = [wanted]
    if wanted == AUTO:
        names = [name for name in RUNTIMES if name in able]
    elif wanted == LIGHT:
        order = RUNTIMES if "tensorflow" in sys.modules else RUNTIMES[::-1]
        names = [name for name in order if name in able]
        names = [name for name in names if not installed(name) or suits(name)]
    for name in names:
        if name not in able:
            raise TfhificError(
                f"{model} is of a kind that the runtime {name} does not run: expected "
                f"{' or '.join(able)}."
            )
        if installed(name):
            return name
    packages = "; or ".join(_INSTALL[name] for name in names)
    raise TfhificError(
        f"{model} needs the runtime {' or '.join(names)}, which is not installed: {packages}"
    )


def suits(name: str, networks: Iterable[Network], precision: str) -> bool:
    """Whether a runtime that is installed can be imported, has a precision and networks' layers."""
    try:
        runtime = make(name, precision)
        for network in networks:
            runtime.check(network)
    except (TfhificError, ImportError):
        return False
    return True


def make(name: str, precision: str) -> Runtime:
    """The runtime of a name.

    Args:
      name: see `choose`.
      precision: of the picture networks.

    Raises:
      ArgumentError: for a precision that it doesn't have.
    """
    if name == "litert":
        from tfhific.runtimes.litert.runtime import LiteRT

        return LiteRT(precision)
    from tfhific.runtimes.tensorflow import TensorFlow

    return TensorFlow(precision)
