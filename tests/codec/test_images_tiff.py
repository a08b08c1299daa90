"""TIFF files of every layout are read rightly or refused by name, never wrongly."""

from __future__ import annotations

import collections
import dataclasses
import io
import itertools
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from tests.codec import tiff_files
from tests.codec.tiff_files import (
    CFA,
    CMYK,
    DEFLATE,
    LZW,
    NONE,
    PALETTE,
    RGB,
    UNSIGNED,
    Layout,
    sample_values,
    tiff,
)
from tfhific.errors import ImageError
from tfhific.pictures.images import read_picture

COMMON = [(0, ()), (1, ()), (1, (2,)), (RGB, ()), (RGB, (2,)), (CMYK, ())]
PACKED = [(NONE, 1), (DEFLATE, 2), (LZW, 1)]
PLAIN = Layout(8, UNSIGNED, RGB, (), 1, 1, "<", False, NONE)


def refusal(data):
    with pytest.raises(ImageError) as caught:
        read_picture(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def is_right(layout, values, picture):
    """Whether a picture shows the samples, as a viewer would."""
    if layout.sample_format != UNSIGNED:
        return False  # nobody knows what is black and white there
    try:
        colours, alpha, slack = tiff_files.shown(layout, values)
    except ValueError:
        return False
    if (picture.alpha is None) != (alpha is None):
        return False
    if alpha is not None and np.abs(picture.alpha - alpha).max() > slack:
        return False
    seen, wanted = picture.pixels.astype(float), colours
    if layout.extra[:1] == (1,):  # where there is little alpha, colours are known less well
        seen, wanted = seen * alpha[..., None] / 255, np.minimum(colours, 255) * alpha[..., None]
        wanted, slack = wanted / 255, 2.5
    return bool(np.abs(seen - wanted).max() <= slack)


def second_opinion(data, layout):
    """The samples as tifffile reads them, or None where it would need codecs that it lacks."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            values = file.pages[0].asarray()
    except (ValueError, NotImplementedError) as error:
        if "requires the 'imagecodecs'" in str(error):
            return None
        raise
    if layout.samples == 1:
        return values[..., None]
    return np.moveaxis(values, 0, -1) if layout.planar == 2 else values


def judge(chosen):
    """Reads files of all chosen layouts; how many were right, refused, and the wrong ones."""
    counts, wrong = collections.Counter(), []
    for layout in chosen:
        values = sample_values(layout)
        data = tiff(layout, values)
        seen = second_opinion(data, layout)
        if seen is not None:
            np.testing.assert_array_equal(seen, values)
            counts["confirmed by tifffile"] += 1
        try:
            picture = read_picture(data)
        except ImageError as error:
            counts["refused"] += 1
            if "this kind is not read" not in str(error):
                wrong.append((layout, str(error)))
            continue
        counts["right"] += 1
        if not is_right(layout, values, picture):
            wrong.append((layout, "another picture"))
    return counts, wrong


def test_every_layout_that_people_have_is_read_as_tifffile_reads_it():
    layouts = [
        Layout(bits, UNSIGNED, kind, extra, planar, predictor, order, tiled, compression)
        for (kind, extra), (compression, predictor) in itertools.product(COMMON, PACKED)
        for bits, planar, order, tiled in itertools.product((8, 16), (1, 2), "<>", (False, True))
    ]
    layouts = [layout for layout in layouts if layout.samples > 1 or layout.planar == 1]
    counts, wrong = judge(layouts[::2])
    assert not wrong
    assert counts["right"] == len(layouts[::2])
    assert counts["confirmed by tifffile"] >= 2 * len(layouts[::2]) // 3 - 1


def test_a_layout_of_any_kind_is_read_rightly_or_refused_by_name():
    counts, wrong = judge(itertools.islice(tiff_files.layouts(), 5, None, 131))
    assert not wrong
    assert counts["right"] > 10
    assert counts["refused"] > 100


@pytest.mark.slow
def test_every_layout_is_read_rightly_or_refused_by_name():
    counts, wrong = judge(tiff_files.layouts())
    print(dict(counts))
    assert not wrong
    assert counts["right"] > 1900
    assert counts["right"] + counts["refused"] == sum(1 for _ in tiff_files.layouts())


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("compression", [NONE, LZW])
def test_reversed_bits_of_each_byte_are_turned_round(bits, compression):
    layout = dataclasses.replace(PLAIN, bits=bits, photometric=1, compression=compression)
    values = sample_values(layout)
    expected = read_picture(tiff(layout, values)).pixels
    data = bytearray(tiff(layout, values, (266, 3, [2])))
    end = struct.unpack_from("<I", data, 4)[0]
    flipped = np.packbits(np.unpackbits(np.frombuffer(data[8:end], np.uint8), bitorder="little"))
    data[8:end] = flipped.tobytes()
    np.testing.assert_array_equal(read_picture(bytes(data)).pixels, expected)


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("compression", [NONE, DEFLATE])
def test_missing_strips_and_tiles_are_refused(planar, tiled, compression):
    layout = dataclasses.replace(PLAIN, planar=planar, tiled=tiled, compression=compression)
    data = tiff(layout, sample_values(layout))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        offsets, lengths = file.pages[0].dataoffsets, file.pages[0].databytecounts
    tags = (324, 325) if tiled else (273, 279)
    for keep in (0, 1, len(offsets) - 1):
        if keep:
            short = [(tag, 4, list(v[:keep])) for tag, v in zip(tags, (offsets, lengths))]
            assert "missing" in refusal(tiff(layout, sample_values(layout), *short))
    beyond = [*offsets[:-1], len(data) + 5]
    refusal(tiff(layout, sample_values(layout), (tags[0], 4, beyond)))
    less = [*lengths[:-1], lengths[-1] // 2]
    refusal(tiff(layout, sample_values(layout), (tags[1], 4, less)))


def test_planes_keep_profile_exif_and_orientation():
    layout = dataclasses.replace(PLAIN, bits=16, planar=2)
    values = sample_values(layout)
    profile = srgb_profile()
    tags = [(274, 3, [6]), (271, 2, [b"maker\0"]), (34675, 1, list(profile))]
    picture = read_picture(tiff(layout, values, *tags))
    np.testing.assert_array_equal(picture.pixels, np.rot90(values >> 8, -1))
    assert picture.icc == profile
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x010F] == "maker"


def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# Kinds


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ([(50706, 1, [1, 4, 0, 0])], "camera raw (DNG)"),
        ([(271, 2, [b"NIKON CORPORATION\0"]), (262, 3, [CFA]), (277, 3, [1])], "Nikon NEF"),
        ([(271, 2, [b"SONY\0"]), (259, 3, [32767])], "Sony ARW"),
        ([(259, 3, [50000])], "ZSTD"),
        ([(259, 3, [34712])], "JPEG 2000"),
        ([(339, 3, [3, 3, 3])], "floating-point"),
        ([(339, 3, [2, 2, 2])], "signed"),
        ([(262, 3, [8])], "LAB"),
        ([(262, 3, [5]), (277, 3, [5]), (338, 3, [2]), (258, 3, [8] * 5)], "CMYK and alpha"),
        ([(258, 3, [8, 8, 16])], "differ in their numbers of bits"),
        ([(258, 3, [32, 32, 32])], "32-bit samples"),
        ([(317, 3, [3])], "predictor"),
    ],
)
def test_kinds_that_are_not_read_are_named(tags, name):
    told = refusal(tiff(PLAIN, sample_values(PLAIN), *tags))
    assert "this kind is not read: " in told
    assert name in told
    assert "convert it first" in told
    assert "damaged" not in told


def two_folders(first_tags, second_tags, link):
    """A TIFF of a small page and a full one, the second a sub-folder or the next page."""
    layout = dataclasses.replace(PLAIN, photometric=1)
    full = sample_values(layout)
    small = full[::2, ::2]
    data = bytearray(tiff(layout, small, *first_tags, *([(330, 4, [0])] if link == 330 else [])))
    shift = len(data) + len(data) % 2
    more = bytearray(tiff(layout, full, *second_tags).ljust(0))
    with tifffile.TiffFile(io.BytesIO(bytes(more))) as file:
        offsets = [offset + shift for offset in file.pages[0].dataoffsets]
    more = bytearray(tiff(layout, full, (273, 4, offsets), *second_tags))
    start = struct.unpack_from("<I", more, 4)[0]
    number = struct.unpack_from("<H", more, start)[0]
    for k in range(number):  # tables behind the folder move along
        at = start + 2 + 12 * k
        _, kind, count, where = struct.unpack_from("<HHII", more, at)
        if count * {2: 1, 3: 2, 4: 4}[kind] > 4:
            struct.pack_into("<I", more, at + 8, where + shift)
    data = data.ljust(shift, b"\0") + more
    first = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, first)[0]
    if link == 330:
        where = data.index(struct.pack("<HHI", 330, 4, 1), first) + 8
    else:
        where = first + 2 + 12 * entries
    struct.pack_into("<I", data, where, start + shift)
    return bytes(data), full


@pytest.mark.parametrize("first", [[(254, 4, [1])], [(255, 3, [2])], [(254, 4, [4])]])
def test_of_a_small_first_page_and_a_full_one_the_full_one_is_shown(first):
    data, full = two_folders(first, [(254, 4, [0])], None)
    np.testing.assert_array_equal(read_picture(data).pixels[..., 0], full[..., 0])


def test_a_small_page_whose_full_one_is_in_a_sub_folder_is_refused():
    data, _ = two_folders([(254, 4, [1])], [(254, 4, [0])], 330)
    assert "reduced resolution" in refusal(data)


@pytest.mark.parametrize(
    ("make", "name"),
    [(b"NIKON CORPORATION\0", "Nikon NEF"), (b"SONY\0", "Sony ARW"), (b"x\0", "camera raw")],
)
@pytest.mark.parametrize("subfile", [0, 1])
def test_a_thumbnail_before_sensor_samples_is_not_taken_for_the_picture(make, name, subfile):
    first = [(254, 4, [subfile]), (271, 2, [make])]
    data, _ = two_folders(first, [(254, 4, [0]), (262, 3, [CFA])], 330)
    assert name in refusal(data)


def test_canon_raw_is_named():
    data = b"II*\0" + struct.pack("<I", 16) + b"CR\x02\0" + bytes(4) + bytes(64)
    assert "Canon CR2" in refusal(data)


def test_pages_that_point_at_each_other_are_no_endless_loop():
    data, _ = two_folders([(254, 4, [1])], [(254, 4, [1])], None)
    second = data.rindex(struct.pack("<HHI", 254, 4, 1)) - 2
    looped = bytearray(data)
    entries = struct.unpack_from("<H", looped, second)[0]
    struct.pack_into("<I", looped, second + 2 + 12 * entries, second)
    assert "reduced resolution" in refusal(bytes(looped))


def test_palette_of_another_length_is_refused():
    layout = dataclasses.replace(PLAIN, photometric=PALETTE, extra=(2,), planar=2)
    assert "palette" in refusal(tiff(layout, sample_values(layout), (320, 3, [0] * 30)))


def test_overlapping_strips_of_many_planes_are_refused():
    layout = dataclasses.replace(PLAIN, planar=2, compression=DEFLATE)
    data = tiff(layout, sample_values(layout))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        number = len(file.pages[0].dataoffsets)
    same = [(273, 4, [8] * number), (279, 4, [len(data) - 100] * number)]
    assert "overlap" in refusal(tiff(layout, sample_values(layout), *same))
