"""What the JavaScript module keeps of a photo's file is what `tfhific compress` keeps of it."""

from __future__ import annotations

import json
import pathlib
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.clients.test_web import WEB, node
from tests.serving import pictures
from tfhific.bitstream import container, fuzz
from tfhific.errors import ImageError
from tfhific.pictures.images import read_picture

SIDE = 8
ROWS = np.arange(SIDE * SIDE * 3, dtype=np.uint8).reshape(SIDE, SIDE * 3)


def png(*chunks: bytes, behind: bytes = b"") -> bytes:
    """A small RGB picture with chunks before its samples, and behind them."""
    data = pictures.png(ROWS, 2, 8, SIDE, *chunks)
    return data[:-12] + behind + data[-12:]


def jpeg(*segments: tuple[int, bytes], mode: str = "RGB") -> bytes:
    """A small picture with segments, of a marker's second byte and contents, at its beginning."""
    data = pictures.saved(Image.new(mode, (SIDE, SIDE), 90), "JPEG")
    put = b"".join(
        bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body
        for marker, body in segments
    )
    return data[:2] + put + data[2:]


def profile_parts(profile: bytes, count: int) -> list[tuple[int, bytes]]:
    """A profile in so many of JPEG's segments."""
    size = -(-len(profile) // count)
    return [
        (0xE2, b"ICC_PROFILE\0" + bytes([k + 1, count]) + profile[k * size : (k + 1) * size])
        for k in range(count)
    ]


def in_png(profile: bytes, method: int = 0) -> bytes:
    return pictures.chunk(b"iCCP", b"name\0" + bytes([method]) + zlib.compress(profile))


def photos(icc: bytes) -> dict[str, bytes]:
    upright = pictures.exif(1)
    turned = pictures.exif(6)
    thumbs = {
        f"{order} {behind!r}": pictures.exif_with_thumbnail(order, 8, behind)
        for order in "<>"
        for behind in (b"", b"more")
    }
    parts = profile_parts(icc, 3)
    of_grey = bytearray(icc)
    of_grey[16:20] = b"GRAY"
    long = turned + bytes(70_000)
    exif_chunk = pictures.chunk(b"eXIf", turned[6:])
    files = {
        "JPEG, nothing": jpeg(),
        "JPEG, all": jpeg((0xE1, turned), *parts),
        "JPEG, profile's parts in disorder": jpeg(*parts[::-1]),
        "JPEG, a part missing": jpeg(*parts[:2]),
        "JPEG, a part twice": jpeg(*parts, parts[1]),
        "JPEG, a profile of two pieces with zeros behind": jpeg(*profile_parts(icc + b"\0\0", 2)),
        "JPEG, no profile": jpeg(*profile_parts(b"x" * 400, 1)),
        "JPEG, a short profile": jpeg(*profile_parts(icc[:100], 1)),
        "JPEG, a profile that is cut": jpeg(*profile_parts(icc[:-1], 1)),
        "JPEG, grey with an RGB profile": jpeg(*parts, mode="L"),
        "JPEG, CMYK": jpeg(*parts, (0xE1, upright), mode="CMYK"),
        "JPEG, XMP beside EXIF": jpeg(
            (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), (0xE1, turned)
        ),
        "JPEG, EXIF in two segments": jpeg(
            (0xE1, long[:60_000]), (0xE1, b"Exif\0\0" + long[60_000:])
        ),
        "JPEG, EXIF of no structure": jpeg((0xE1, b"Exif\0\0nothing")),
        "JPEG, empty EXIF": jpeg((0xE1, b"Exif\0\0")),
        "PNG, nothing": png(),
        "PNG, all": png(in_png(icc), exif_chunk),
        "PNG, EXIF behind its samples": png(behind=exif_chunk),
        "PNG, profile behind its samples": png(behind=in_png(icc)),
        "PNG, damaged EXIF": png(exif_chunk[:-1] + bytes([exif_chunk[-1] ^ 1])),
        "PNG, EXIF with JPEG's name": png(pictures.chunk(b"eXIf", turned)),
        "PNG, empty EXIF": png(pictures.chunk(b"eXIf", b"")),
        "PNG, grey profile": png(in_png(bytes(of_grey))),
        "PNG, profile of another method": png(in_png(icc, 1)),
        "PNG, a profile that does not inflate": png(pictures.chunk(b"iCCP", b"name\0\0nothing")),
        "PNG, a cut profile": png(pictures.chunk(b"iCCP", in_png(icc)[8:-24])),
        "PNG, a profile without end": png(in_png(icc + bytes(1 << 25))),
        "PNG, code points without meaning before a profile": png(
            pictures.chunk(b"cICP", bytes([3, 13, 0, 1])), in_png(icc)
        ),
        "PNG, sRGB by code points before a profile": png(
            pictures.chunk(b"cICP", bytes([1, 13, 0, 1])), in_png(icc)
        ),
        "PNG, another profile later": png(in_png(icc[:-1]), in_png(icc)),
    }
    files |= {f"JPEG, thumbnail {name}": jpeg((0xE1, block)) for name, block in thumbs.items()}
    return files


def kept_by_python(data: bytes) -> dict[str, str | None]:
    picture = read_picture(data)
    return {
        kind: None if value is None else bytes(value).hex()
        for kind, value in (("icc", picture.icc), ("exif", picture.exif))
    }


def kept_by_the_module(files: dict[str, bytes], folder: pathlib.Path) -> dict[str, dict]:
    for number, data in enumerate(files.values()):
        (folder / str(number)).write_bytes(data)
    done = node(WEB / "test" / "metadata.js", *(folder / str(k) for k in range(len(files))))
    assert done.returncode == 0, done.stderr
    return dict(zip(files, map(json.loads, done.stdout.splitlines())))


def test_profiles_and_exif_blocks_of_photos_are_those_that_python_keeps(tmp_path):
    icc = pictures.profile()
    files = photos(icc)
    found = kept_by_the_module(files, tmp_path)
    expected = {name: kept_by_python(data) for name, data in files.items()}
    assert found == expected
    assert found["JPEG, all"]["icc"] == icc.hex()
    assert sum(kept["exif"] is not None for kept in expected.values()) > 8
    assert sum(kept["icc"] is not None for kept in expected.values()) > 6


def test_changed_exif_blocks_are_kept_or_left_out_as_by_python(tmp_path):
    blocks = [pictures.exif(6), *(pictures.exif_with_thumbnail(order, 3, b"..") for order in "<>")]
    files = {}
    for seed, block in enumerate(blocks):
        for number, changed in enumerate(fuzz.mutations(block[6:], 60, seed, repaired=False)):
            files[f"{seed} {number}"] = png(pictures.chunk(b"eXIf", changed))
    expected = {name: kept_by_python(data) for name, data in files.items()}
    assert 20 < sum(kept["exif"] is None for kept in expected.values()) < 160
    assert kept_by_the_module(files, tmp_path) == expected


def test_cut_and_changed_files_give_nothing_or_what_python_keeps(tmp_path):
    icc = pictures.profile()
    sound = [jpeg((0xE1, pictures.exif(6)), *profile_parts(icc, 3)), png(in_png(icc))]
    files = {}
    for seed, data in enumerate(sound):
        for number, changed in enumerate(fuzz.mutations(data, 60, seed, repaired=False)):
            files[f"{seed} {number}"] = changed
        files |= {f"{seed} cut at {end}": data[:end] for end in range(0, len(data), 97)}
    found = kept_by_the_module(files, tmp_path)
    read = 0
    for name, data in files.items():
        try:
            expected = kept_by_python(data)
        except ImageError:
            continue
        read += 1
        assert found[name] == expected, name
    assert read > 10


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_photo_encoded_by_the_module_has_the_command_lines_metadata(
    kind, tmp_path, run_script, tiny_model_folder, photo
):
    pytest.importorskip("ai_edge_litert")
    pixels = photo(20, 30)
    source = tmp_path / f"photo.{kind}"
    icc = pictures.profile()
    Image.fromarray(pixels).save(source, icc_profile=icc, exif=pictures.exif(6))
    done = run_script("compress", source, tmp_path / "a.tfh", "--model=tiny", "--runtime=litert")
    assert done.returncode == 0, done.stderr
    upright = np.rot90(pixels, -1)
    opaque = np.full([*upright.shape[:2], 1], 255, np.uint8)
    np.concatenate([upright, opaque], -1).tofile(tmp_path / "in.rgba")
    arguments = (tmp_path / "in.rgba", 20, 30, 5, tmp_path / "b.tfh", source)
    done = node(WEB / "test" / "encode.js", tiny_model_folder / "model.safetensors", *arguments)
    assert done.returncode == 0, done.stderr
    own, theirs = (container.unpack((tmp_path / name).read_bytes()) for name in ("b.tfh", "a.tfh"))
    assert own.size == theirs.size == (30, 20)
    assert own.icc == theirs.icc == icc
    assert own.exif == theirs.exif
    assert b"2020:01:01" in own.exif
