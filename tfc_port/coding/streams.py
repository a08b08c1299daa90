"""Over how many streams a payload is dealt: what they cost, and what they may cost."""

from __future__ import annotations

BYTES_PER_STREAM = 1.25
"""What one more stream costs on average: its end, and its length beside the others'."""

_BYTES_FOR_SEVERAL = 2
_MOST_STREAMS = 512
ALLOWANCE = 0.005
"""Which part of a payload its streams may add to it, unless said otherwise."""

_FEW_STREAMS = 4


def stream_thresholds(allowance: float = ALLOWANCE) -> tuple[float, ...]:
    """Returns from how many bytes on a payload is dealt to 2, 4, 8, ... 512 streams.

    Args:
      allowance: see `choose_streams`.
    """
    return tuple(
        ((2**power - 1) * BYTES_PER_STREAM + _BYTES_FOR_SEVERAL)
        / (allowance if 2**power <= _FEW_STREAMS else ALLOWANCE)
        for power in range(1, _MOST_STREAMS.bit_length())
    )


def choose_streams(payload_bytes: float, allowance: float = ALLOWANCE) -> int:
    """Returns how many streams to deal a payload to.

    Args:
      payload_bytes: an estimate of the payload's size in bytes, such as `estimate_bytes`.
      allowance: which part of it the ends and lengths of two or four streams may take; those of
        more may take .5 %. More than that makes a small part of a file several times as quick to
        decode in core ops, and the file five bytes longer at most.

    Returns:
      The largest power of two from 1 to 512 that stays below that; 1 where none does.
    """
    return 1 << sum(payload_bytes >= threshold for threshold in stream_thresholds(allowance))
