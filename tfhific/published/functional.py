"""Padding, strided convolutions and channel normalisation in plain TensorFlow.

Training's Keras layers and the codec's folded networks both compute with these, so that they agree.
Nothing here needs Keras, and TensorFlow is imported when something is first computed.
"""

from __future__ import annotations

Pads = tuple[int, int, int, int]
"""Rows above, rows below, columns to the left, columns to the right."""

PADDINGS = ("zeros", "reflect")


def centred(kernel: int) -> tuple[int, int]:
    """Positions before and after that keep a kernel centred on every stride-th one."""
    return kernel // 2, (kernel - 1) // 2


def pad(x, pads: Pads, padding: str):
    """Extends the height and the width.

    Args:
      x: [batch, height, width, channels].
      pads: how far.
      padding: `zeros`, or `reflect` about the outermost values, each of which occurs once. An
        axis that is too short to reflect so far repeats its outermost value instead.

    Returns:
      [batch, height + pads, width + pads, channels].
    """
    import tensorflow as tf

    if not any(pads):
        return x
    amounts = [[0, 0], list(pads[:2]), list(pads[2:]), [0, 0]]
    if padding == "zeros":
        return tf.pad(x, amounts)
    fits = [size is not None and size > max(side) for size, side in _sides(x, pads)]
    if all(fits):
        return tf.pad(x, amounts, "REFLECT")
    if all(size is not None for size, _ in _sides(x, pads)):
        return _pad_by_position(x, pads)
    enough = tf.logical_and(tf.shape(x)[1] > max(pads[:2]), tf.shape(x)[2] > max(pads[2:]))
    return tf.cond(enough, lambda: tf.pad(x, amounts, "REFLECT"), lambda: _pad_by_position(x, pads))


def _sides(x, pads: Pads):
    return (x.shape[1], pads[:2]), (x.shape[2], pads[2:])


def _pad_by_position(x, pads: Pads):
    import tensorflow as tf

    for axis, (before, after) in ((1, pads[:2]), (2, pads[2:])):
        size = tf.shape(x)[axis]
        position = tf.range(-before, size + after)
        last = size - 1
        mirrored = last - tf.abs(last - tf.abs(position))
        held = tf.clip_by_value(position, 0, last)
        x = tf.gather(x, tf.where(size > max(before, after), mirrored, held), axis=axis)
    return x


def conv(x, kernel, stride: int, pads: Pads | None = None, padding: str = "zeros"):
    """Strided correlation: output (i, j) sees the padded input from (stride * i, stride * j) on.

    Args:
      x: float [batch, height, width, in], sides multiples of `stride`.
      kernel: [k, k, in, out].
      stride: downsampling.
      pads: of the input; None for as many as keep the kernel centred.
      padding: see `pad`.

    Returns:
      [batch, height / stride, width / stride, out], where the pads are enough for that.
    """
    import tensorflow as tf

    if pads is None:
        pads = (*centred(kernel.shape[0]), *centred(kernel.shape[1]))
    if padding == "zeros" and any(pads):
        explicit = [[0, 0], list(pads[:2]), list(pads[2:]), [0, 0]]
        return tf.nn.conv2d(x, kernel, stride, explicit)
    return tf.nn.conv2d(pad(x, pads, padding), kernel, stride, "VALID")


def deconv(x, kernel, stride: int, crop: tuple[int, int] | None = None):
    """Transposed correlation: every input value adds the kernel around its place in the output.

    The whole of that, `stride * (n - 1) + k` positions a side, is cut to `stride * n` of them.

    Args:
      x: float [batch, height, width, in].
      kernel: [k, k, out, in], such that `spans(k, stride, crop)`.
      stride: upsampling.
      crop: rows cut above and columns cut to the left; None for half the kernel.

    Returns:
      [batch, height * stride, width * stride, out].
    """
    import tensorflow as tf

    if crop is None:
        crop = (kernel.shape[0] // 2, kernel.shape[1] // 2)
    if stride > 1 and x.dtype == tf.bfloat16 and not tf.config.list_logical_devices("GPU"):
        return _deconv_by_phases(x, kernel, stride, crop)
    shape = tf.shape(x)
    output = tf.stack([shape[0], shape[1] * stride, shape[2] * stride, kernel.shape[2]])
    pads = [[0, 0]]
    for size, first in zip(kernel.shape[:2], crop):
        # The adjoint of a correlation over `stride * n` positions with `first` zeros before them
        # gives back n values when k - stride zeros stand around the positions in all.
        pads.append([first, size - stride - first])
    pads.append([0, 0])
    return tf.nn.conv2d_transpose(x, kernel, output, stride, pads)


def _deconv_by_phases(x, kernel, stride: int, crop: tuple[int, int]):
    """`deconv` as one correlation whose output channels are the places that an input has.

    On CPUs, TensorFlow has fast correlations of bfloat16 but no fast transposed ones: this is some
    thirty times as fast, though a part of what it multiplies by is zero.
    """
    import numpy as np
    import tensorflow as tf

    tables, pads = [], []
    for size, first in zip(kernel.shape[:2], crop):
        # Place a of input i takes tap t of input i + o where a + first - t = stride * o.
        lowest = -((size - 1 - first) // stride)
        highest = (stride - 1 + first) // stride
        offsets = np.arange(lowest, highest + 1)
        taps = np.arange(stride)[:, None] + first - stride * offsets[None, :]
        # Beyond the kernel's end there is a row of zeros.
        tables.append(np.where((taps >= 0) & (taps < size), taps, size))
        pads += [-lowest, highest]
    kernel = tf.pad(kernel, [[0, 1], [0, 1], [0, 0], [0, 0]])
    kernel = tf.gather(tf.gather(kernel, tables[1], axis=1), tables[0], axis=0)
    # [place, offset, place, offset, out, in] to [offset, offset, in, place, place, out].
    kernel = tf.transpose(kernel, [1, 3, 5, 0, 2, 4])
    rows, columns, inward, _, _, out = kernel.shape
    kernel = tf.reshape(kernel, [rows, columns, inward, stride * stride * out])
    return tf.nn.depth_to_space(conv(x, kernel, 1, tuple(pads)), stride)


def spans(kernel: int, stride: int, crop: int | None = None) -> bool:
    """Whether an upsampling kernel's positions reach over all that `deconv` keeps."""
    first = kernel // 2 if crop is None else crop
    return 0 <= first <= kernel - stride


def channel_norm(x, gamma, beta, epsilon: float):
    """Normalises every pixel over its channels (ChannelNorm; Mentzer et al. 2020, section 3.3).

    Its mean and its unbiased variance are taken in float32 where `x` has less.

    Args:
      x: float [batch, height, width, channels], at least two channels.
      gamma: [channels], factors.
      beta: [channels], offsets.
      epsilon: added to the variance.

    Returns:
      Like `x`.
    """
    import tensorflow as tf

    dtype = x.dtype
    if dtype.size < 4:
        x = tf.cast(x, tf.float32)
    gamma, beta = tf.cast(gamma, x.dtype), tf.cast(beta, x.dtype)
    channels = x.shape[-1]
    mean = tf.reduce_mean(x, -1, keepdims=True)
    # No intermediate result is held on to: at full resolution each is as large as the input.
    total = tf.reduce_sum(tf.math.squared_difference(x, mean), -1, keepdims=True)
    inverse = tf.math.rsqrt(total / (channels - 1) + epsilon)
    return tf.cast((x - mean) * inverse * gamma + beta, dtype)


def mean_and_step(outputs):
    """What a checkerboard's network says of latents: see `tfhific.runtimes.checkerboard`.

    Args:
      outputs: float [..., 2 channels].

    Returns:
      Means, and steps from exp(-1/2) to exp(1/2), [..., channels] each.
    """
    import tensorflow as tf

    mean, step = tf.split(outputs, 2, axis=-1)
    return mean, tf.exp(0.5 * tf.tanh(step))


def first_half(size, top=0):
    """Where a checkerboard's first half is: bool [rows, columns, 1], row + column even.

    Args:
      size: rows and columns, int32 [2].
      top: the first row's number.
    """
    import tensorflow as tf

    rows, columns = tf.range(size[0])[:, None, None], tf.range(size[1])[None, :, None]
    return tf.equal((rows + top + columns) % 2, 0)
