"""What a declared interface asks for and an object lacks."""

from __future__ import annotations

from typing import Protocol

_SPECIAL = ("__len__", "__call__")


def members(interface: type) -> list[str]:
    """Names of all that a `typing.Protocol`, and those it extends, declare: sorted."""
    found: set[str] = set()
    for base in interface.__mro__:
        if base in (object, Protocol):
            continue
        declared = (*vars(base), *getattr(base, "__annotations__", ()))
        found.update(name for name in declared if name in _SPECIAL or not name.startswith("_"))
    return sorted(found)


def lacking(thing: object, interface: type) -> list[str]:
    """Names of the members of a `typing.Protocol` that an object doesn't have: sorted.

    Signatures are left to a type checker; this is for a message that says what is missing, before
    any work.
    """
    return [name for name in members(interface) if not hasattr(thing, name)]
