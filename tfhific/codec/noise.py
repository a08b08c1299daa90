"""Normal noise that is the same everywhere: for generators that take some."""

from __future__ import annotations

import math

import numpy as np


def normal_noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """float32 of a shape, normal about zero, from a counter.

    Philox's words are fixed by its definition; NumPy promises no such thing for what its generators
    make of them, so the words become normal numbers here (Box and Muller 1958).
    """
    count = math.prod(shape)
    half = (count + 1) // 2
    words = np.random.Philox(key=seed).random_raw(2 * half)
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    radius, angle = np.sqrt(-2.0 * np.log(uniform[:half])), 2.0 * np.pi * uniform[half:]
    values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return values[:count].reshape(shape).astype(np.float32)
