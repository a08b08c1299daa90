"""Requests that TensorFlow Serving makes by itself when it loads a model.

`assets.extra/tf_serving_warmup_requests` is a TFRecord file of `PredictionLog` messages. The few
fields that are needed are written here in the wire format of protocol buffers, as
tensorflow_serving/apis has them, so that an export does not need that package.
"""

from __future__ import annotations

import os

import numpy as np

from tfhific import systems
from tfhific.published.model import PublishedModel

FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
# Numbers of the fields.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _INPUTS, _NAME, _SIGNATURE = 6, 1, 1, 2, 1, 3
_KEY, _VALUE = 1, 2


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes: its number and kind, its length, and itself."""
    from tfhific.bitstream.container import write_varint

    return write_varint(number << 3 | 2) + write_varint(len(content)) + content


def prediction_log(model: str, signature: str, inputs: dict[str, object]) -> bytes:
    """A `PredictionLog` with a request.

    Args:
      model: the model's name.
      signature: the signature's.
      inputs: tensors by name, as `tf.make_tensor_proto` takes them.
    """
    import tensorflow as tf

    spec = _field(_NAME, model.encode()) + _field(_SIGNATURE, signature.encode())
    request = _field(_MODEL_SPEC, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, tensor))
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def write_warmup(folder: str, model: PublishedModel) -> None:
    """Writes requests to all signatures into a SavedModel's folder.

    Args:
      folder: of the SavedModel.
      model: what was exported, under whose name it will be served; Serving does not compare it.
    """
    import tensorflow as tf

    y, x = np.mgrid[:96, :128]
    image = np.stack([2 * y, 2 * x, y + x], axis=-1).astype(np.uint8)
    encoded = [
        tf.io.encode_jpeg(image).numpy(),
        tf.io.encode_png(image).numpy(),
    ]
    quality = np.array([5.0, 2.0], np.float32)
    # By the codec: a graph's first call takes many times as long.
    packed = [systems.codec_of(model).compress(image)] * len(encoded)
    requests: dict[str, dict[str, object]] = {
        "compress": {"image_bytes": encoded},
        "compress_at": {"image_bytes": encoded, "quality": quality},
        "decompress": {"compressed_bytes": packed},
        "compress_raw": {"image": np.stack([image, image]), "quality": quality},
        "decompress_raw": {"compressed_bytes": packed},
        "info": {"compressed_bytes": packed},
    }
    path = os.path.join(folder, FILE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for signature, inputs in requests.items():
            writer.write(prediction_log(model.name, signature, inputs))
