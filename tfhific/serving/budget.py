"""Which elements of a batch are within what a request may have, told before any is worked on."""

from __future__ import annotations

import tensorflow as tf

from tfhific.serving.limits import TOO_MUCH

PARALLEL = 2
"""So many elements of a batch are worked on at once."""


def beyond_sum(pixels: tf.Tensor, limit: int) -> tf.Tensor:
    """What is wrong with elements whose pictures, summed up from the first, are too much.

    Args:
      pixels: int64 [batch], of each element's picture; 0 where none will be made.
      limit: of the sum.

    Returns:
      string [batch], empty where nothing is wrong.
    """
    beyond = (tf.cumsum(pixels) > limit) & (pixels > 0)
    return tf.where(
        beyond,
        f"{TOO_MUCH}: expected pictures of at most {limit:,} pixels together, of which the "
        "elements before this one leave too few; send it in another request",
        "",
    )


def beyond_array(heights: tf.Tensor, widths: tf.Tensor, limit: int) -> tf.Tensor:
    """What is wrong with elements that would make an array of the largest sides too large.

    Element by element the array grows to hold each picture that it can grow to hold.

    Args:
      heights: int32 [batch], 0 where there is no picture.
      widths: the same.
      limit: of the pixels of the array, [batch, largest height, largest width].

    Returns:
      string [batch], empty where nothing is wrong.
    """
    sizes = tf.cast(tf.stack([heights, widths], axis=1), tf.int64)
    batch = tf.size(heights, tf.int64)

    def grow(at, held, fits):
        grown = tf.maximum(held, sizes[at])
        # A side is below 2**31, and the batch was in memory: as a quotient it is within 64 bits.
        fine = grown[0] <= limit // tf.maximum(batch * grown[1], 1)
        return at + 1, tf.where(fine, grown, held), fits.write(at, fine)

    _, _, fits = tf.while_loop(
        lambda at, held, fits: at < tf.size(heights),
        grow,
        (
            tf.constant(0),
            tf.zeros([2], tf.int64),
            tf.TensorArray(tf.bool, tf.size(heights), element_shape=[]),
        ),
        parallel_iterations=1,
    )
    return tf.where(
        fits.stack(),
        "",
        f"{TOO_MUCH}: expected an array [batch, largest height, largest width] of at most "
        f"{limit:,} pixels; send fewer files at once, or use decompress",
    )


def of_several(function, elements: tf.Tensor, result) -> tf.Tensor:
    """What a function makes of each element where there are several; zeros where there is one.

    One element is within what a request may have if it is within what a picture may.
    """
    spec = result if isinstance(result, tf.TensorSpec) else tf.TensorSpec([], result)
    count = tf.size(elements)
    # A loop over none instead of a branch: see `first_case`.
    several = elements[: tf.where(count > 1, count, 0)]
    values = tf.map_fn(function, several, fn_output_signature=spec, parallel_iterations=PARALLEL)
    return tf.concat(
        [values, tf.zeros([count - tf.size(several), *spec.shape], spec.dtype)], axis=0
    )
