"""Inverting a generator: the z whose picture is nearest to a given one, by gradient descent.

Tolunay and Ghalayini 2018 (see `tfhific.models.inversion`), with several starts at once, one of
them a learned guess; a choice of distances; and a second half of the search that sees z as it will
be stored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tfhific.codec.distortions import perception
from tfhific.errors import TfhificError
from tfhific.published.rate import upper_tail

LOSSES = ("mse", "ms_ssim", "lpips")
MAX_BITS = 8
# Steps of the uniform quantiser of 2^k levels with the least squared error for a normal variable of
# unit variance: J. Max, "Quantizing for minimum distortion", IRE Trans. Inform. Theory 6, 1960.
_NORMAL_STEPS = (1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308)


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """How z is searched for.

    Attributes:
      bits: k, stored as one of 2^k levels before entropy coding; 1 to 8.
      steps: of gradient descent (Adam).
      restarts: starts at once, the first at the guess where there is one.
      loss: `mse`, `ms_ssim` (1 - MS-SSIM) or `lpips`.
      lpips: file of LPIPS weights, for that loss.
      guess: whether the model's guess is one of the starts.
      aware: whether the second half of the search sees quantised values.
      learning_rate: of Adam at the start; it falls to a tenth.
      prior_weight: of the squared values of z: keeps them likely, and so cheap.
      seed: of the other starts.
    """

    bits: int = 4
    steps: int = 300
    restarts: int = 4
    loss: str = "mse"
    lpips: str = ""
    guess: bool = True
    aware: bool = True
    learning_rate: float = 0.1
    prior_weight: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise TfhificError(f"`bits`: expected 1 to {MAX_BITS}. Received: {self.bits}.")
        if self.steps < 0 or self.restarts < 1:
            raise TfhificError(
                "Expected a search of 0 or more steps from 1 or more starts. Received: "
                f"{self.steps} and {self.restarts}."
            )
        if self.loss not in LOSSES:
            raise TfhificError(
                f"`loss`: expected one of {', '.join(LOSSES)}. Received: {self.loss!r}."
            )
        if self.loss == "lpips" and not self.lpips:
            raise TfhificError("`loss=lpips` needs its weights: name their file by `lpips`.")


def quantiser_step(prior: str, bits: int) -> float:
    """The distance of two levels of z.

    Args:
      prior: `normal` (unit variance) or `uniform` (in [-1, 1]).
      bits: k, of 2^k levels.
    """
    return _NORMAL_STEPS[bits - 1] if prior == "normal" else 2.0 / 2**bits


def to_levels(z: np.ndarray, prior: str, bits: int) -> np.ndarray:
    """Which of the 2^k levels is nearest to each value, int32."""
    step = quantiser_step(prior, bits)
    return np.clip(np.floor(z / step) + 2 ** (bits - 1), 0, 2**bits - 1).astype(np.int32)


def from_levels(levels: np.ndarray, prior: str, bits: int) -> np.ndarray:
    """The values of levels, float32."""
    step = quantiser_step(prior, bits)
    return ((levels.astype(np.float64) - 2 ** (bits - 1) + 0.5) * step).astype(np.float32)


def level_shares(prior: str, bits: int) -> np.ndarray:
    """How probable each level is for a z that follows the prior, float64 [2^k]."""
    if prior == "uniform":
        return np.full(2**bits, 2.0**-bits)
    step = quantiser_step(prior, bits)
    edges = (np.arange(1, 2**bits) - 2 ** (bits - 1)) * step
    below = np.concatenate([[0.0], upper_tail("gaussian", -edges), [1.0]])
    return np.diff(below)


def make_loss(options: SearchOptions, side: int) -> Callable:
    """The distance of pictures: `loss(target, made)` for float [batch, H, W, 1 or 3] in [-1, 1]
    gives float32 [batch]."""
    import tensorflow as tf

    if options.loss == "mse":
        return lambda a, b: tf.reduce_mean(tf.math.squared_difference(a, b), (1, 2, 3))
    if options.loss == "ms_ssim":
        weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
        # As many scales as have room for the 11x11 window.
        weights = weights[: max(1, min(5, (side // 11).bit_length()))]
        factors = tuple((weights / weights.sum()).tolist())

        def distance(a, b):
            size = min(11, side)
            return 1.0 - tf.image.ssim_multiscale(
                a / 2.0 + 0.5, b / 2.0 + 0.5, 1.0, factors, filter_size=size
            )

        return distance
    seen = perception(options.lpips)

    def perceived(a, b):
        return seen(*(tf.repeat(images, 3 // images.shape[-1], -1) for images in (a, b)))

    return perceived


class Searcher:
    """Finds the levels of z whose picture is nearest to a target; traced once, used often."""

    def __init__(
        self, generate: Callable, starts: int, latent: int, prior: str, bits: int, loss: Callable
    ) -> None:
        """Initializer.

        Args:
          generate: float32 [starts, latent] to float32 [starts, H, W, channels] in [-1, 1].
          starts: how many z are moved at once.
          latent: values of z.
          prior: `normal` or `uniform`.
          bits: k, of 2^k levels.
          loss: of `make_loss`.
        """
        import tensorflow as tf

        self._prior, self._bits, self._starts = prior, bits, starts
        step, half = quantiser_step(prior, bits), 2.0 ** (bits - 1)
        self._limit = limit = 1.0 if prior == "uniform" else step * half
        variables = [tf.Variable(tf.zeros([starts, latent])) for _ in range(3)]
        self._z, self._first, self._second = z, first, second = variables

        def stored(values):
            return (tf.clip_by_value(tf.floor(values / step), -half, half - 1) + 0.5) * step

        def distance(target, values):
            found = loss(tf.repeat(target[None], starts, 0), generate(values))
            return tf.where(tf.math.is_finite(found), found, found.dtype.max)

        @tf.function(autograph=False)
        def measure(target):
            return distance(target, stored(z))

        @tf.function(autograph=False)
        def move(target, number, rate, aware, prior_weight):
            with tf.GradientTape() as tape:
                rounding = tf.stop_gradient(stored(z) - z)
                found = distance(target, z + tf.where(aware, rounding, 0.0))
                total = tf.reduce_sum(found)
                if prior == "normal":
                    total += prior_weight * tf.reduce_sum(tf.reduce_mean(z**2, -1))
            gradient = tape.gradient(total, z)
            # MS-SSIM has an infinite slope where a contrast term is zero.
            gradient = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.99 * second + 0.01 * gradient**2)
            unbiased = first / (1.0 - 0.9**number)
            scale = tf.sqrt(second / (1.0 - 0.99**number)) + 1e-12
            before = tf.identity(z)
            z.assign(tf.clip_by_value(z - rate * unbiased / scale, -limit, limit))
            return found, before

        self._measure, self._move = measure, move

    def __call__(
        self, target: np.ndarray, starts: np.ndarray, options: SearchOptions
    ) -> tuple[np.ndarray, np.ndarray, list[float]]:
        """Searches.

        Args:
          target: float32 [H, W, channels] in [-1, 1].
          starts: float32 [starts, latent].
          options: steps, learning rate, and whether the second half sees z as it is stored.

        Returns:
          Levels int32 [starts, latent] of the best z found from each start, their losses float32
          [starts], and the least loss of any z measured as stored, up to each step.
        """
        import tensorflow as tf

        target = tf.constant(target)
        self._z.assign(np.clip(starts, -self._limit, self._limit).astype(np.float32))
        for moment in (self._first, self._second):
            moment.assign(tf.zeros_like(moment))
        best, kept = self._measure(target).numpy(), self._z.numpy()
        history = [float(best.min())]
        for number in range(1, options.steps + 1):
            share = number / options.steps
            aware = options.aware and share > 0.5
            found, seen = self._move(
                target,
                tf.constant(float(number)),
                tf.constant(options.learning_rate * 0.1**share, tf.float32),
                tf.constant(aware),
                tf.constant(options.prior_weight, tf.float32),
            )
            if number == options.steps:
                found, seen = self._measure(target), self._z
            if aware or number == options.steps:
                better = found.numpy() < best
                best = np.where(better, found.numpy(), best)
                kept = np.where(better[:, None], seen.numpy(), kept)
            history.append(float(best.min()))
        return to_levels(kept, self._prior, self._bits), best, history
