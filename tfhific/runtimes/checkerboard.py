"""Latents coded in the two halves of a checkerboard, as tensors: encoder and decoder alike.

D. He, Y. Zheng, B. Sun, Y. Wang, H. Qin: "Checkerboard context model for efficient learned image
compression", CVPR 2021, arXiv 2103.15306.

A latent y is the symbol round(y / step - mean). Standard deviations, and so the tables that code
symbols, follow from the hyperlatents alone: all symbols are decoded before any of this runs. Mean
and step of the first half (row + column even) follow from the hyperlatents too, those of the
second half from them and from the decoded first half. Only symbols are coded, so the last bits of
means and steps may differ from machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tfhific.published.checkerboard import FIRST, NEAR, SECOND
from tfhific.published.functional import first_half, mean_and_step
from tfhific.runtimes.symbols import rounded


class Settled(NamedTuple):
    """Rows of latents after both passes, float32 [rows, columns, channels] each.

    Attributes:
      symbols: integers.
      values: what the decoder has in the latents' place.
    """

    symbols: Any
    values: Any


def settle(
    networks: Mapping[str, Callable],
    features,
    latents,
    top,
    known_rows,
    symbols: bool,
    dead_zone=None,
) -> Settled:
    """Both passes over some rows of a picture's latents.

    Args:
      networks: by the names in `NETWORKS`.
      features: float32 [rows, columns, .], what the first network makes of the hyperlatents.
      latents: float32 [rows, columns, channels]; symbols where they are given.
      top: the first row's number in the picture, int32.
      known_rows: so many rows, from the first on, are decoded already.
      symbols: whether `latents` are symbols, as in a decoder, or have to be rounded.
      dead_zone: float32, shaped like `latents`: by how much a latent, in steps, is moved towards
        zero before it is rounded; None for not at all.
    """
    import tensorflow as tf

    def coded(values, mean, step):
        return values if symbols else rounded(values / step - mean, dead_zone)

    rows = tf.range(tf.shape(latents)[0])[:, None, None]
    first = first_half(tf.shape(latents)[:2], top)
    mean, step = mean_and_step(networks[FIRST](features[None])[0])
    symbols_before = coded(latents, mean, step)
    decoded = (symbols_before + mean) * step
    decoded = tf.where(rows < known_rows, latents, decoded)
    near = networks[NEAR](tf.where(first, decoded, tf.zeros_like(decoded))[None])
    mean, step = mean_and_step(networks[SECOND](features[None] + near)[0])
    symbols_after = coded(latents, mean, step)
    return Settled(
        symbols=tf.where(first, symbols_before, symbols_after),
        values=tf.where(first, decoded, (symbols_after + mean) * step),
    )
