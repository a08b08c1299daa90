"""Entropy coding by frozen integer tables: one bitstream, three implementations.

Importing this needs NumPy only; the "native" and "graph" implementations import TensorFlow when
they are first used. What a TensorFlow graph needs is in `tfc_port.coding.graph`: `GraphTables`,
`encode_tensors`, `decode_tensors`, `choose_streams_tensor`.
"""

from __future__ import annotations

from tfc_port.coding.coder import (
    IMPLEMENTATIONS,
    available,
    check,
    decode,
    encode,
    estimate_bytes,
)
from tfc_port.coding.errors import CodingError
from tfc_port.coding.payload import MAX_STREAMS
from tfc_port.coding.streams import ALLOWANCE, choose_streams, stream_thresholds
from tfc_port.coding.tables import Tables, quantize_pmf

__all__ = [
    "ALLOWANCE",
    "IMPLEMENTATIONS",
    "MAX_STREAMS",
    "CodingError",
    "Tables",
    "available",
    "check",
    "choose_streams",
    "decode",
    "encode",
    "estimate_bytes",
    "quantize_pmf",
    "stream_thresholds",
]
