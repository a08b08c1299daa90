"""Distances between two sets of features: Frechet distance and KID."""

from __future__ import annotations

import numpy as np

from tfhific.errors import TfhificError


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Frechet distance of two normal distributions fitted to features.

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), covariances A and B with n - 1 in the
    denominator: Heusel et al., NeurIPS 2017, arXiv 1706.08500, equation 6. The estimate is biased
    upwards when samples are few; compare only equal numbers of samples.

    Args:
      a: float [n, d].
      b: float [m, d].

    Raises:
      TfhificError: fewer than two samples, different d, or numbers that are not finite.
    """
    a, b = _check(a, b)
    mean = a.mean(0) - b.mean(0)
    root_a, root_b = (_centred(x) for x in (a, b))
    # With A = X'X and B = Y'Y, the eigenvalues of A B are the squared singular values of X Y':
    # no square root of a matrix that is singular when samples are fewer than features.
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    value = mean @ mean + (root_a**2).sum() + (root_b**2).sum() - 2 * cross
    return float(max(value, 0.0))


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """KID: the squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, unbiased.

    Binkowski et al., ICLR 2018, arXiv 1801.01401; over all samples at once. May be below 0.

    Args:
      a: float [n, d].
      b: float [m, d].

    Raises:
      TfhificError: as `frechet_distance`.
    """
    a, b = _check(a, b)
    n, m, d = len(a), len(b), a.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / d + 1) ** 3

    own_a, own_b = kernel(a, a), kernel(b, b)
    within_a = (own_a.sum() - np.trace(own_a)) / (n * (n - 1))
    within_b = (own_b.sum() - np.trace(own_b)) / (m * (m - 1))
    return float(within_a + within_b - 2 * kernel(a, b).mean())


def _centred(x: np.ndarray) -> np.ndarray:
    """A matrix X with X'X the covariance, of at most d rows."""
    x = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(x, mode="r")) if x.shape[0] > x.shape[1] else x


def _check(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not a.shape[1]:
        raise TfhificError(
            f"Expected features [n, d] and [m, d]. Received: {list(a.shape)} and {list(b.shape)}."
        )
    if min(len(a), len(b)) < 2:
        raise TfhificError(
            f"A distance of distributions needs 2 samples or more. Received: {len(a)} and {len(b)}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise TfhificError("Expected finite features. Received some that are not.")
    return a, b
