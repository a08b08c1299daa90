"""Packages that only some commands need: asked for before any work is begun."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping

from tfhific.errors import TfhificError


def require(what: str, extra: str, packages: Mapping[str, str]) -> None:
    """Fails where packages of an extra are not installed; imports none of them.

    Args:
      what: needs them, as a sentence begins.
      extra: of tfhific's, which brings them.
      packages: names to install by, by the modules that are imported.

    Raises:
      TfhificError: some are missing.
    """
    missing = [name for module, name in packages.items() if _is_missing(module)]
    if missing:
        raise TfhificError(
            f"{what} needs {' and '.join(missing)}, which tfhific's extra `{extra}` brings: "
            f"pip install {' '.join(missing)}"
        )


def _is_missing(module: str) -> bool:
    if sys.modules.get(module) is not None:
        return False
    try:
        return importlib.util.find_spec(module) is None
    except (ImportError, ValueError):
        # What holds the module can't be imported, or has no place.
        return True
