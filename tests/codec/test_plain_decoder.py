"""docs/format.md and docs/coding.md say what files are: a decoder that follows them reads all."""

from __future__ import annotations

import ast
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.codec import plain_decoder
from tfhific.bitstream.checksum import farmhash64

FOLDER = pathlib.Path(__file__).parent / "data" / "vectors"
LISTED = json.loads((FOLDER / "vectors.json").read_text())


@pytest.fixture(scope="module")
def model() -> plain_decoder.Model:
    return plain_decoder.Model((FOLDER / "model.safetensors").read_bytes())


def test_it_uses_nothing_of_what_it_is_held_against():
    tree = ast.parse(pathlib.Path(plain_decoder.__file__).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert found == {"__future__", "dataclasses", "io", "json", "typing", "zlib", "numpy", "PIL"}


@pytest.mark.parametrize("entry", LISTED["files"], ids=lambda entry: entry["name"])
def test_every_vector_is_decoded_as_the_pages_say(entry, model):
    name = entry["name"]
    found = plain_decoder.decode((FOLDER / f"{name}.tfh").read_bytes(), model)
    for part, values in (
        ("hyperlatents", found.z),
        ("indexes", found.indexes),
        ("symbols", found.symbols),
    ):
        assert np.array_equal(values, np.load(FOLDER / f"{name}.{part}.npy")), part
    kept = np.asarray(Image.open(FOLDER / f"{name}.png")).astype(float)
    assert found.pixels.shape == (*kept.shape[:2], 3)
    assert np.abs(np.rint(found.pixels) - kept[..., :3]).max() <= 1
    assert (found.alpha is not None) == entry["alpha"]
    if found.alpha is not None:
        assert np.array_equal(found.alpha, kept[..., 3])
    for kind in ("icc", "exif"):
        path = FOLDER / f"{name}.{kind}"
        assert getattr(found, kind) == (path.read_bytes() if entry[kind] else None)


@pytest.mark.parametrize("name", LISTED["refused"])
def test_every_file_to_be_refused_is_refused_by_what_the_pages_say(name, model):
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.decode((FOLDER / "refused" / f"{name}.tfh").read_bytes(), model)


def test_the_checksum_is_the_one_on_the_page():
    rng = np.random.default_rng(3)
    for size in [*range(17, 200), 255, 256, 257, 1000, 4097]:
        data = rng.integers(0, 256, size, np.uint8).tobytes()
        assert plain_decoder.farmhash64(data) == farmhash64(data), size


def test_changed_files_are_read_by_both_decoders_or_by_neither(model):
    import tfhific
    from tfhific.errors import BitstreamError

    codec = tfhific.load(FOLDER)
    rng = np.random.default_rng(5)
    verdicts = set()
    for name in ("all-metadata", "bands", "escapes", "version-0", "one-pixel", "streams"):
        sound = (FOLDER / f"{name}.tfh").read_bytes()[:-8]
        for number in range(40):
            body = bytearray(sound)
            for _ in range(rng.integers(1, 3)):
                # Every other change is in the fields before the streams.
                body[rng.integers(12, min(40, len(body)) if number % 2 else len(body))] ^= (
                    1 << rng.integers(8)
                )
            if number % 7 == 6:
                del body[rng.integers(17, len(body)) :]
            file = bytes(body) + farmhash64(bytes(body)).to_bytes(8, "little")
            try:
                codec.decompress_picture(file)
                reads = True
            except BitstreamError:
                reads = False
            try:
                plain_decoder.decode(file, model)
                reads_too = True
            except plain_decoder.Refused:
                reads_too = False
            assert reads == reads_too, (name, number)
            verdicts.add(reads)
    assert verdicts == {True, False}
