"""GC exported: the graph's files are the command line's, and what has no graph is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfhific.bitstream import container
from tfhific.errors import TfhificError
from tfhific.serving.export import export
from tfhific.serving.signatures import Served


@pytest.fixture(scope="module")
def served(whole_codec, tmp_path_factory):
    """The signatures of the exported `gc`, loaded from its folder."""
    folder = export(whole_codec("gc").published, str(tmp_path_factory.mktemp("gc")), warmup=False)
    return tf.saved_model.load(folder).signatures


def _png(pixels: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def test_the_graph_reads_and_writes_what_the_codec_does(served, whole_codec, photo):
    codec = whole_codec("gc")
    pictures = [photo(50, 90), photo(1, 1), photo(64, 64)]
    out = served["compress"](tf.constant([*map(_png, pictures), b"none"]))
    files = out["compressed_bytes"].numpy().tolist()
    errors = out["error"].numpy().tolist()
    assert errors[:3] == [b"", b"", b""]
    assert errors[3] != b""
    for picture, data in zip(pictures, files):
        np.testing.assert_array_equal(
            codec.decode_symbols(data), codec.decode_symbols(codec.compress(picture))
        )
    contents = container.unpack(files[0])
    damaged = files[0][:-1] + bytes([files[0][-1] ^ 1])
    hurt = container.pack(container.Contents(codec.fingerprint, 640, 640, 0, b"", contents.y))
    back = served["decompress"](tf.constant([*files[:3], damaged, hurt]))
    errors = back["error"].numpy().tolist()
    assert errors[:3] == [b"", b"", b""]
    assert b"damaged" in errors[3]
    assert b"can't hold" in errors[4]
    for data, image in zip(files, back["image_bytes"].numpy()[:3]):
        decoded = np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).astype(int)
        assert np.abs(decoded - codec.decompress(data)).max() <= 1


@pytest.mark.parametrize("name", ["gc-hyper", "noisy", "sent", "sc", "inversion"])
def test_what_has_no_graph_is_refused(name, whole_codec):
    with pytest.raises(TfhificError, match="can't be exported"):
        Served(whole_codec(name).published)
