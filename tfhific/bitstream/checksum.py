"""The checksum of a file: farmhash64, as the core op `Fingerprint` computes it.

Two implementations of one function. A process that has TensorFlow loaded uses its op; one that
has not (`bin/info.py`) is spared the seconds of loading it for the plain one.
G. Pike, "FarmHash", the `farmhashna` variant of `Hash64` without a seed.
"""

from __future__ import annotations

import struct
import sys

_MASK = (1 << 64) - 1
_K0 = 0xC3A5C85C97CB3127
_K1 = 0xB492B66FBE98F273
_K2 = 0x9AE16A3B2F90404F


def checksum(data: bytes) -> bytes:
    """The 8 bytes (little-endian farmhash64) that end a file whose other bytes are `data`."""
    if "tensorflow" in sys.modules and data:
        return _with_op(data)
    return farmhash64(data).to_bytes(8, "little")


def _with_op(data: bytes) -> bytes:
    import numpy as np
    import tensorflow as tf

    with tf.device("/cpu:0"):
        row = tf.convert_to_tensor(np.frombuffer(data, np.uint8)[None])
        return tf.raw_ops.Fingerprint(data=row, method="farmhash64").numpy().tobytes()


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _rotate(value: int, by: int) -> int:
    value &= _MASK
    return (value >> by) | (value << (64 - by)) & _MASK


def _mix(value: int) -> int:
    return value ^ (value >> 47)


def _pair(u: int, v: int, factor: int) -> int:
    a = _mix(((u ^ v) * factor) & _MASK)
    b = _mix((((v & _MASK) ^ a) * factor) & _MASK)
    return (b * factor) & _MASK


def farmhash64(data: bytes) -> int:
    """64-bit farmhash of `data`."""
    size = len(data)
    if size > 64:
        return _long(data)
    factor = _K2 + 2 * size
    if size > 16:
        # 17..32 bytes and 33..64 bytes begin alike: the same four words, the same two mixtures.
        a, b = _word(data, 0) * (_K1 if size <= 32 else _K2), _word(data, 8)
        c, d = _word(data, size - 8) * factor, _word(data, size - 16) * _K2
        y = _rotate(a + b, 43) + _rotate(c, 30) + d
        z = _pair(y & _MASK, (a + _rotate(b + _K2, 18) + c) & _MASK, factor)
        if size <= 32:
            return z
        e, f = _word(data, 16) * factor, _word(data, 24)
        g, h = (y + _word(data, size - 32)) * factor, (z + _word(data, size - 24)) * factor
        last = e + _rotate(f + a, 18) + g
        return _pair((_rotate(e + f, 43) + _rotate(g, 30) + h) & _MASK, last & _MASK, factor)
    if size >= 8:
        a, b = _word(data, 0) + _K2, _word(data, size - 8)
        c, d = _rotate(b, 37) * factor + a, (_rotate(a, 25) + b) * factor
        return _pair(c & _MASK, d & _MASK, factor)
    if size >= 4:
        first, last = (int.from_bytes(data[at : at + 4], "little") for at in (0, size - 4))
        return _pair(size + (first << 3), last, factor)
    if size > 0:
        y, z = data[0] + (data[size >> 1] << 8), size + (data[size - 1] << 2)
        return (_mix((y * _K2 & _MASK) ^ (z * _K0 & _MASK)) * _K2) & _MASK
    return _K2


def _weak(words: tuple, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = words
    a += w
    b = _rotate(b + a + z, 21)
    c = a
    a += x + y
    b += _rotate(a, 44)
    return (a + z) & _MASK, (b + c) & _MASK


def _round(words: tuple, state: tuple, factor: int, last: bool) -> tuple:
    x, y, z, v0, v1, w0, w1 = state
    x = _rotate(x + y + v0 + words[1], 37) * factor
    y = _rotate(y + v1 + words[6], 42) * factor
    x = (x ^ (w1 * 9 if last else w1)) & _MASK
    y = (y + (v0 * 9 if last else v0) + words[5]) & _MASK
    z = _rotate(z + w0, 33) * factor & _MASK
    v0, v1 = _weak(words[:4], v1 * factor, x + w0)
    w0, w1 = _weak(words[4:], z + w1, y + words[2])
    return z, y, x, v0, v1, w0, w1


def _long(data: bytes) -> int:
    y = (81 * _K1 + 113) & _MASK
    z = _mix((y * _K2 + 113) & _MASK) * _K2 & _MASK
    state = (81 * _K2 + _word(data, 0), y, z, 0, 0, 0, 0)
    whole = (len(data) - 1) // 64
    for words in struct.iter_unpack("<8Q", data[: 64 * whole]):
        state = _round(words, state, _K1, last=False)
    x, y, z, v0, v1, w0, w1 = state
    factor = _K1 + ((z & 0xFF) << 1)
    w0 += (len(data) - 1) & 63
    v0 += w0
    w0 += v0
    words = struct.unpack("<8Q", data[-64:])
    x, y, z, v0, v1, w0, w1 = _round(words, (x, y, z, v0, v1, w0, w1), factor, last=True)
    # `_round` returns x and z exchanged, as the end of a round leaves them.
    left = _pair(v0, w0, factor) + _mix(y) * _K0 + z
    right = _pair(v1, w1, factor) + x
    return _pair(left & _MASK, right & _MASK, factor)
