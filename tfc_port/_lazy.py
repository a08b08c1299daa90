"""Names that are imported when first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def lazy_attributes(
    package: str, homes: Mapping[str, str], left_out: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Makes the `__getattr__` and `__dir__` of a package.

    Args:
      package: Its full name.
      homes: For every public name, the module that defines it; the empty string where the name is
        itself a subpackage.
      left_out: Names that other packages have, and what to use instead.

    Returns:
      The two functions. The first raises `AttributeError` for unknown names, saying for names in
      `left_out` what replaces them.
    """
    left_out = left_out or {}

    def get(name: str) -> object:
        if name in homes:
            if not homes[name]:
                return importlib.import_module(f"{package}.{name}")
            return getattr(importlib.import_module(homes[name]), name)
        if name in left_out:
            raise AttributeError(f"{package} leaves out {name}: {left_out[name]}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: sorted(homes)
