"""How much nearer to zero an encoder takes latents that a table codes.

G. J. Sullivan: "Efficient scalar quantization of exponential and Laplacian random variables", IEEE
Trans. Information Theory 42(5), 1996 (rate and distortion are served best by a wider zero). A
latent between two symbols is worth the larger one only if that saves more error than it costs bits.
Training rounds without such a choice; an encoder can make it, and no decoder has to know.
"""

from __future__ import annotations

import numpy as np

from tfhific.errors import ModelError
from tfhific.published.rate import latent_bits

_ESCAPE_BITS = 20.0


def dead_zone(likelihood: str, scales: np.ndarray, strength: float) -> np.ndarray | None:
    """By how much latents less their means are moved towards zero before they are rounded.

    strength * (bits of a one - bits of a zero), at most 1/2: between two symbols the bits differ
    by more, and the error by less, the further out they are, so that one number for a row does.

    Args:
      likelihood: one of `tfhific.published.rate.LIKELIHOODS`.
      scales: float64 [rows], positive.
      strength: steps for a bit, not negative; `mini-v3` has .016.

    Returns:
      float32 [rows]; None for a strength of 0.

    Raises:
      ModelError: for a negative strength.
    """
    if not strength >= 0:
        raise ModelError(f"`dead_zone`: expected a number of at least 0. Received: {strength!r}.")
    if strength == 0:
        return None
    one, zero = (latent_bits(likelihood, np.full(len(scales), v), scales) for v in (1.0, 0.0))
    difference = np.clip(one - zero, 0.0, _ESCAPE_BITS)
    return np.minimum(strength * difference, 0.5).astype(np.float32)
