"""The `.tfh` file: what is packed comes back; anything else is refused in one line."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfhific.bitstream import container
from tfhific.bitstream.checksum import checksum
from tfhific.bitstream.container import (
    Contents,
    join_bands,
    pack,
    quality_code,
    split_bands,
    unpack,
    write_varint,
)
from tfhific.errors import BitstreamError

SMALL = Contents(bytes(range(8)), 13, 17, quality_code(3.7), b"hyper", b"latents", 2, 4, 1)
FULL = dataclasses.replace(SMALL, alpha=b"\x89PNG", icc=b"profile", exif=b"Exif\0\0")
FIRST = dataclasses.replace(SMALL, band_rows=0, version=0)
FILES = pytest.mark.parametrize("contents", [SMALL, FULL, FIRST], ids=["now", "full", "version 0"])


def refusal(data, **limits) -> str:
    with pytest.raises(BitstreamError) as caught:
        unpack(data, **limits)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def sealed(body: bytes) -> bytes:
    return body + checksum(body)


def header(
    *,
    height=b"\x0d",
    width=b"\x11",
    quality=b"\0\0",
    streams=b"\0",
    band=b"\0",
    lengths=b"\0",
    rest=b"",
) -> bytes:
    """A whole file with fields as raw bytes and a checksum that fits them."""
    fields = [bytes(8), height, width, quality, streams, band, lengths, rest]
    return sealed(b"TFH\1" + b"".join(fields))


optional_bytes = st.none() | st.binary(max_size=300)


@settings(deadline=None)
@given(
    st.builds(
        Contents,
        fingerprint=st.binary(min_size=8, max_size=8),
        height=st.integers(1, 1 << 13),
        width=st.integers(1, 1 << 13),
        quality_code=st.integers(0, container.MAX_QUALITY_CODE),
        z=st.binary(max_size=300),
        y=st.binary(max_size=300),
        z_streams=st.integers(0, container.MAX_LOG2_STREAMS).map(lambda k: 1 << k),
        y_streams=st.integers(0, container.MAX_LOG2_STREAMS).map(lambda k: 1 << k),
        alpha=optional_bytes,
        icc=optional_bytes,
        exif=optional_bytes,
        band_rows=st.integers(0, 1 << 20),
    )
)
def test_what_is_packed_comes_back(contents):
    assert unpack(pack(contents)) == contents


@pytest.mark.parametrize(
    ("height", "width", "band_rows", "z_bytes"),
    [
        (13_377, 13_377, 127, (1 << 28) - 1),
        (127, 1_409_109, 127, (1 << 28) - 1),
        (65_500, 2_700, 127, (1 << 21) - 1),
        (1, 10_000_000, 0, (1 << 21) - 1),
    ],
)
def test_header_takes_at_most_32_bytes_without_metadata(height, width, band_rows, z_bytes):
    contents = Contents(
        bytes(8), height, width, container.MAX_QUALITY_CODE, b"", b"", band_rows=band_rows
    )
    assert len(pack(contents)) - 1 + len(write_varint(z_bytes)) <= 32


def test_version_0_is_read_without_its_bands():
    data = pack(FIRST)
    assert data[3] == 0
    assert len(data) == len(pack(SMALL)) - 1
    assert unpack(data) == FIRST


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_bands_that_are_joined_are_split_again(payloads):
    assert split_bands(join_bands(payloads), len(payloads)) == payloads


def test_bands_beyond_the_end_are_refused():
    section = join_bands([b"first", b"second", b"third"])
    with pytest.raises(BitstreamError):
        split_bands(section, 8)
    for length in range(len(section) - len(b"third")):
        with pytest.raises(BitstreamError):
            split_bands(section[:length], 3)
    with pytest.raises(BitstreamError):
        split_bands(b"\xff\xff\xff\xff\x7f" + section, 2)


@pytest.mark.parametrize("quality", [1, 1.5, 3.7, 5.0, 7.99999, 8])
def test_quality_is_stored_to_an_eight_thousandth(quality):
    stored = unpack(pack(dataclasses.replace(SMALL, quality_code=quality_code(quality)))).quality
    assert abs(stored - quality) <= 1 / 8192


@pytest.mark.parametrize(
    "quality", [0, 0.999, 8.001, -1, 1e300, float("inf"), float("nan"), "much", None, [5]]
)
def test_quality_that_is_none_is_refused(quality):
    with pytest.raises(ValueError, match=r"from 1 to 8\. Received"):
        quality_code(quality)


@FILES
def test_every_truncation_is_refused(contents):
    data = pack(contents)
    for length in range(len(data)):
        refusal(data[:length])


@FILES
def test_every_other_value_of_every_byte_is_refused(contents):
    data = pack(contents)
    for place in range(len(data)):
        for change in range(1, 256):
            damaged = bytearray(data)
            damaged[place] ^= change
            refusal(bytes(damaged))


@pytest.mark.parametrize("more", [b"\0", b"TFH", bytes(100)], ids=len)
def test_bytes_after_the_end_are_refused(more):
    refusal(pack(SMALL) + more)


@pytest.mark.parametrize("version", range(2, 256, 36))
def test_other_versions_are_named(version):
    data = pack(SMALL)
    body = data[:3] + bytes([version]) + data[4:-8]
    assert f"version {version}" in refusal(sealed(body))


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff\xd8\xff\xe0", b"tfh\0" + bytes(50)]
)
def test_what_is_no_such_file_is_called_so(data):
    message = refusal(data)
    assert ".tfh file" in message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (header(height=b"\0"), "17x0"),
        (header(width=b"\0"), "0x13"),
        (header(height=write_varint(1 << 20), width=write_varint(1 << 20)), "limit"),
        (header(height=b"\xff\xff\xff\xff\x7f", width=b"\xff\xff\xff\xff\x7f"), "limit"),
        (header(height=b"\xff" * 9 + b"\x01"), "not a valid number"),
        (header(height=b"\x8d\x00"), "not a valid number"),
        (header(quality=b"\x01\x70"), "quality"),
        (header(streams=b"\x0b"), "streams"),
        (header(streams=b"\xb0"), "streams"),
        (header(lengths=b"\x01"), "hyperlatents"),
        (header(lengths=b"\xff\xff\xff\xff\x7f", rest=b"abc"), "hyperlatents"),
        (header(quality=b"\0\x80", lengths=b"\0\xff\xff\xff\xff\x7f"), "metadata"),
        (header(quality=b"\0\x80", lengths=b"\0\x05", rest=b"ALPH\x01"), "metadata"),
        (header(quality=b"\0\x80", lengths=b"\0\x05", rest=b"WHAT\0"), "WHAT"),
        (header(quality=b"\0\x80", lengths=b"\0\x0a", rest=b"ICCP\0ICCP\0"), "ICCP"),
        (header(band=b"\x80\x00"), "not a valid number"),
        (sealed(b"TFH\1"), "fingerprint"),
        (sealed(b"TFH\1" + bytes(8)), "height"),
        (sealed(b"TFH\1" + bytes(8) + b"\x01\x01"), "quality"),
    ],
)
def test_hostile_fields_are_refused_though_the_checksum_fits(data, said):
    assert said in refusal(data)


def test_a_picture_may_have_just_as_many_pixels_as_allowed():
    data = pack(SMALL)
    assert unpack(data, max_pixels=13 * 17) == SMALL
    assert "17x13" in refusal(data, max_pixels=13 * 17 - 1)


def test_metadata_flag_without_metadata_is_what_it_says():
    assert unpack(header(quality=b"\0\x80", lengths=b"\0\0")) == unpack(header())


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(container.READABLE_VERSIONS), st.binary(max_size=200))
def test_any_body_with_a_fitting_checksum_is_read_or_refused(version, body):
    try:
        contents = unpack(sealed(b"TFH" + bytes([version]) + body))
    except BitstreamError:
        return
    assert contents.height * contents.width > 0
    assert len(contents.z) + len(contents.y) <= len(body)


@pytest.mark.parametrize("streams", [0, 3, 2048, -1])
def test_streams_that_the_file_cannot_say_are_refused(streams):
    with pytest.raises(ValueError, match="power of two"):
        pack(dataclasses.replace(SMALL, y_streams=streams))
