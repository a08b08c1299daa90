"""Log-likelihood of pictures under a Gaussian Parzen window on a generator's samples.

I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, section 5; M. Mirza, S. Osindero,
"Conditional Generative Adversarial Nets", 2014, section 4.1: 1000 samples of each of ten classes,
the window's width chosen on a validation set. A rough estimate of high variance, kept because the
papers report it.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tfhific.errors import ArgumentError


@dataclasses.dataclass(frozen=True)
class ParzenEstimate:
    """A Parzen-window estimate.

    Attributes:
      mean: log-likelihood per picture, in nats, mean over the test set.
      error: standard error of that mean.
      sigma: the window's standard deviation, chosen on the validation set.
    """

    mean: float
    error: float
    sigma: float


def log_likelihoods(
    pictures: np.ndarray, samples: np.ndarray, sigmas: np.ndarray, batch: int = 250
) -> np.ndarray:
    """Log-likelihood of each picture under an isotropic Gaussian around each sample.

    log p(x) = log mean_i exp(-|x - s_i|^2 / (2 sigma^2)) - d/2 log(2 pi sigma^2)

    Args:
      pictures: float32 [n, d], values in 0..1.
      samples: float32 [m, d].
      sigmas: float [k], standard deviations.
      batch: pictures at once.

    Returns:
      float64 [k, n], nats.

    Raises:
      ArgumentError: for other shapes, no samples or a sigma that is not positive.
    """
    sigmas = np.asarray(sigmas, np.float64)
    if pictures.ndim != 2 or samples.ndim != 2 or pictures.shape[1] != samples.shape[1]:
        raise ArgumentError(
            f"Expected pictures [n, d] and samples [m, d]. Received: {pictures.shape} and "
            f"{samples.shape}."
        )
    if not len(samples) or not np.all(sigmas > 0):
        raise ArgumentError("Expected at least one sample, and positive standard deviations.")
    dimensions = pictures.shape[1]
    norms = np.einsum("md,md->m", samples, samples)
    out = np.empty([len(sigmas), len(pictures)])
    for first in range(0, len(pictures), batch):
        x = pictures[first : first + batch]
        squared = np.einsum("nd,nd->n", x, x)[:, None] + norms[None] - 2.0 * (x @ samples.T)
        squared = np.maximum(squared, 0.0).astype(np.float64)
        # The nearest sample's term is taken out of the sum, which then can't underflow.
        nearest = squared.min(axis=1, keepdims=True)
        for row, sigma in enumerate(sigmas):
            rest = np.exp((nearest - squared) / (2 * sigma**2)).mean(axis=1)
            log_window = -nearest[:, 0] / (2 * sigma**2) + np.log(rest)
            out[row, first : first + batch] = log_window - dimensions / 2 * math.log(
                2 * math.pi * sigma**2
            )
    return out


def parzen_estimate(
    samples: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    sigmas: np.ndarray | None = None,
) -> ParzenEstimate:
    """The papers' protocol: the width by cross-validation, the likelihood on the test set.

    Args:
      samples: float32 [m, d], values in 0..1.
      validation: float32 [n, d].
      test: float32 [t, d].
      sigmas: widths to choose from; None for ten from .1 to 1, evenly in the logarithm.
    """
    sigmas = np.logspace(-1.0, 0.0, 10) if sigmas is None else np.asarray(sigmas, np.float64)
    best = int(np.argmax(log_likelihoods(validation, samples, sigmas).mean(axis=1)))
    values = log_likelihoods(test, samples, sigmas[best : best + 1])[0]
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return ParzenEstimate(float(values.mean()), error, float(sigmas[best]))
