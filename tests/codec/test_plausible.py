"""Files that can't hold the picture that they claim, refused before anything is computed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfc_port import coding
from tfhific.bitstream import container
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.codec.plausible import MAX_BAND_LATENTS, least_bits_of_any
from tfhific.codec.transforms import Transforms
from tfhific.errors import BitstreamError


@pytest.fixture
def idle_codec(tiny_published, monkeypatch) -> HyperpriorCodec:
    """The tiny model as a codec that fails once anything is decoded or computed."""

    def never(*arguments, **options):
        raise AssertionError("something was computed")

    codec = HyperpriorCodec(tiny_published, "python")
    monkeypatch.setattr(coding, "decode", never)
    for name in ("indexes", "dequantise", "synthesise"):
        monkeypatch.setattr(Transforms, name, never)
    return codec


@pytest.fixture(scope="module")
def contents(tiny_codec, photo) -> container.Contents:
    return container.unpack(tiny_codec.compress(photo(200, 300, seed=3), 4.0))


def claims(contents: container.Contents, published) -> dict[str, tuple[container.Contents, str]]:
    """Contents that claim too much, and words of what is said."""

    def changed(**fields) -> container.Contents:
        return dataclasses.replace(contents, **fields)

    # As many hyperlatents as 13,000 x 13,000 pixels have, of no information.
    side = 13_000
    shape = (-(-side // 64), -(-side // 64), published.z_tables.rows)
    rows = np.broadcast_to(np.arange(shape[2], dtype=np.int32), shape).ravel()
    modes = (published.z_tables.minimum + published.z_tables.mode)[rows]
    z = coding.encode(modes, rows, published.z_tables, streams=1, implementation="python")
    large = {"height": side, "width": side, "z": z, "z_streams": 1}
    return {
        "hyperlatents": (changed(height=side, width=side), "bytes of hyperlatents can't hold"),
        "no latents": (changed(**large, y=b"", version=0), "at least one byte"),
        "one band": (changed(**large, y=b"\0"), f"more than {MAX_BAND_LATENTS}"),
        "no lengths": (changed(**large, y=b"\0", band_rows=4), "ends inside its l"),
        "a frame": (changed(y=b"\x60" + contents.y), "first byte"),
        "a long stream": (changed(y=contents.y + bytes(1 << 18)), "at most"),
        "an escape": (changed(y=b"\x80\x05\xff\xff\xff\x7f\x01" + contents.y[1:]), "within"),
        "half an escape": (changed(z=b"\x80\x01\x00" + contents.z[1:]), "pairs"),
    }


def test_what_cannot_be_there_is_refused_before_anything_is_computed(
    idle_codec, tiny_published, contents
):
    for name, (hostile, words) in claims(contents, tiny_published).items():
        with pytest.raises(BitstreamError) as caught:
            idle_codec.decompress(container.pack(hostile))
        assert words in str(caught.value), name


def test_a_band_of_as_few_rows_as_there_can_be_may_have_any_width(tiny_codec, photo, monkeypatch):
    monkeypatch.setattr("tfhific.codec.plausible.MAX_BAND_LATENTS", 10)
    data = tiny_codec.compress(photo(60, 300))
    assert tiny_codec.decompress(data).shape == (60, 300, 3)


def test_the_least_that_a_symbol_takes_is_that_of_its_surest_table():
    tables = coding.Tables.from_pmfs(
        [np.array([0.5, 0.5]), np.array([0.25, 0.75])], np.array([0, 0])
    )
    assert least_bits_of_any(tables) == pytest.approx(-np.log2(0.75) / 2, rel=1e-3)
    certain = coding.Tables.from_pmfs([np.array([0.5, 0.5]), np.array([1.0])], np.array([0, 0]))
    assert least_bits_of_any(certain) == 0


def test_a_code_of_centres_is_looked_at_before_its_label_map(whole_codec, photo, label_picture):
    codec = whole_codec("sent")
    labels = label_picture(64, 80, codec.classes)
    contents = container.unpack(codec.compress(photo(64, 80), labels=labels))
    hostile = dataclasses.replace(contents, y=b"\0", height=2000, width=400, labels=b"\1\5")
    with pytest.raises(BitstreamError, match="bytes of code can't hold"):
        codec.decompress(container.pack(hostile))
