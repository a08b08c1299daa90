"""What a file says, without decoding it, in a graph; of any model."""

from __future__ import annotations

import tensorflow as tf

from tfhific.bitstream import container
from tfhific.serving.graph import container as graph_container
from tfhific.serving.graph.octets import to_octets

_NUMBERS = (
    "format_version",
    "width",
    "height",
    "bytes",
    "latents_streams",
    "hyperlatents_streams",
    "band_rows",
    "alpha_size",
    "icc_size",
    "exif_size",
)
ENTRIES = {
    "error": tf.string,
    "fingerprint": tf.string,
    "quality": tf.float32,
    "bpp": tf.float32,
    **{name: tf.int32 for name in _NUMBERS},
}
"""Names and types of what `info` gives."""


def info(data: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """What a file, a string, says: scalars in the order of `ENTRIES`, 0 and empty with an error."""
    contents = graph_container.unpack(data, (1 << 31) - 1)
    fine = tf.cast(tf.equal(contents.error, ""), tf.int32)
    names = tf.constant([f"{value:02x}" for value in range(256)])
    fingerprint = tf.strings.reduce_join(tf.gather(names, to_octets(contents.fingerprint)))
    quality = 1.0 + tf.cast(contents.quality_code, tf.float32) / container.QUALITY_STEPS
    size = tf.strings.length(data)
    pixels = tf.cast(contents.height, tf.float32) * tf.cast(contents.width, tf.float32)
    scale = tf.cast(fine, tf.float32)
    numbers = {
        "format_version": contents.version,
        "width": contents.width,
        "height": contents.height,
        "bytes": size,
        "latents_streams": contents.y_streams,
        "hyperlatents_streams": contents.z_streams,
        "band_rows": contents.band_rows,
        "alpha_size": tf.strings.length(contents.alpha),
        "icc_size": tf.strings.length(contents.icc),
        "exif_size": tf.strings.length(contents.exif),
    }
    return (
        contents.error,
        tf.where(fine > 0, fingerprint, ""),
        scale * quality,
        scale * 8.0 * tf.cast(size, tf.float32) / tf.maximum(pixels, 1.0),
        *(fine * numbers[name] for name in _NUMBERS),
    )
