"""The package's version, which its metadata is made from too."""

from __future__ import annotations

__version__ = "0.1.0"
