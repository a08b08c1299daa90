"""Which runtime runs a model's networks."""

from __future__ import annotations

import importlib.util

from tfhific.errors import ArgumentError, TfhificError
from tfhific.runtimes.base import Runtime

RUNTIMES = ("tensorflow", "litert")
"""Names, the one that is taken first where both are installed first."""

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


def choose(wanted: str, able: tuple[str, ...], model: str) -> str:
    """The runtime to use.

    Args:
      wanted: one of `RUNTIMES`, or `auto`: the first of them that is installed.
      able: those that the model's codec works with.
      model: its name, for messages.

    Raises:
      ArgumentError: for another name.
      TfhificError: where it is not installed, or does not run such a model.
    """
    if wanted not in ("auto", *RUNTIMES):
        raise ArgumentError(
            f"Expected a runtime among auto, {', '.join(RUNTIMES)}. Received: {wanted!r}."
        )
    names = [name for name in RUNTIMES if name in able] if wanted == "auto" else [wanted]
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
