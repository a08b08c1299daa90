"""Entropy coding by frozen integer tables: one bitstream, whichever implementation writes it.

Importing this needs NumPy only; the "native" implementation imports TensorFlow when it is first
used.
"""

from __future__ import annotations

from tfc_port.coding.coder import IMPLEMENTATIONS, available, choose_streams, decode, encode
from tfc_port.coding.errors import CodingError
from tfc_port.coding.payload import MAX_STREAMS
from tfc_port.coding.tables import Tables, quantize_pmf

__all__ = [
    "IMPLEMENTATIONS",
    "MAX_STREAMS",
    "CodingError",
    "Tables",
    "available",
    "choose_streams",
    "decode",
    "encode",
    "quantize_pmf",
]
