#!/usr/bin/env python3
"""Writes the inputs that the fuzz targets start from, which the repository keeps.

Each is a small sound file, or one that is as nearly sound as a reader's rarer branches need.
"""

from __future__ import annotations

import io
import json
import pathlib
import pickle
import struct
import sys
import tempfile
import zlib
from collections import OrderedDict

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))


def containers() -> dict[str, bytes]:
    """Bodies of files, without their checksums."""
    from tfhific.bitstream import container
    from tfhific.bitstream.kept import Kept

    base = container.Contents(bytes(8), 40, 60, 8192, b"hyper", b"latents")
    kept = Kept((1, 3), ((2, 3, 10, 12),)).to_bytes()
    cases = {
        "plain": base,
        "bands": container.Contents(
            bytes(8), 900, 16, 0, b"z", container.join_bands([b"a", b"bc", b""]), 4, 8, 2
        ),
        "metadata": container.Contents(
            bytes(8), 3, 2, 0, b"z", b"y", alpha=grey_png(), icc=b"icc", exif=b"exif"
        ),
        "extreme": container.Contents(
            bytes(8), 64, 64, 0, b"", b"y", labels=b"\1\5ab", kept=kept, code=b"\4\0"
        ),
        "version0": container.Contents(bytes(8), 7, 5, 0, b"z", b"y", version=0),
    }
    return {name: container.pack(contents)[:-8] for name, contents in cases.items()}


def payloads() -> dict[str, bytes]:
    from tests.fuzzing.targets import tables
    from tfc_port import coding

    cases = {}
    for count, power, spread in ((0, 0, 1), (7, 0, 1), (40, 2, 1), (30, 1, 900), (200, 6, 3)):
        rows = np.arange(count, dtype=np.int32) % tables().rows
        values = np.random.default_rng(count).integers(-spread, spread + 1, count)
        data = coding.encode(values, rows, tables(), streams=1 << power, implementation="python")
        cases[f"{count}-values-{1 << power}-streams"] = bytes([count, power]) + data
    return cases


def models() -> dict[str, bytes]:
    from tests.fuzzing.targets import smallest_models
    from tfhific.published.store import read_description, save_model

    cases = {}
    for name, model in smallest_models().items():
        with tempfile.TemporaryDirectory() as folder:
            cases[f"{name}-file"] = b"f" + pathlib.Path(save_model(model, folder)).read_bytes()
            text = json.dumps(read_description(folder)).encode()
        cases[f"{name}-description"] = name[:1].encode() + text
    return cases


def label_maps() -> dict[str, bytes]:
    from tfhific.bitstream.label_map import encode_label_map

    cases = {}
    for height, width, classes in ((1, 1, 2), (5, 9, 3), (24, 24, 6)):
        labels = np.zeros([height, width], np.uint8)
        labels[height // 2 :, width // 3 :] = classes - 1
        head = bytes([height - 1, width - 1, classes - 2])
        cases[f"{height}x{width}"] = head + encode_label_map(labels, classes)
    return cases


def pickles() -> dict[str, bytes]:
    """Checkpoints' pickles, put together by hand as torch does, and plain values."""

    def checkpoint(protocol: bytes) -> bytes:
        storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuK\6tQ"
        tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage
        tensor += b"K\0K\2K\3\206K\3K\1\206\211ccollections\nOrderedDict\n)RtR"
        return protocol + b"}q\0(X\1\0\0\0w" + tensor + b"X\4\0\0\0stepM\350\3u."

    values = {"step": 3, "names": ["a", "b"], "shape": (1, 2.5, None, True), "big": 1 << 70}
    scalar = b"\x80\2cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\2\0\0\0f4K\0K\1\207R"
    scalar += b"(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbC\4\0\0\200?\206R."
    return {
        "tensor": checkpoint(b"\x80\2"),
        "plain-2": pickle.dumps(values, 2),
        "plain-4": pickle.dumps(values, 4),
        "ordered": pickle.dumps(OrderedDict(a=1, b=[OrderedDict()]), 2),
        "text": pickle.dumps(values, 0),
        "scalar": scalar,
        "refused": b"cos\nsystem\n(X\4\0\0\0truetR.",
    }


def chunk(kind: bytes, content: bytes) -> bytes:
    head = struct.pack(">I", len(content)) + kind + content
    return head + struct.pack(">I", zlib.crc32(kind + content))


def grey_png() -> bytes:
    """A grey PNG of 2x3 pixels."""
    head = struct.pack(">IIBBBBB", 2, 3, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0ab\0cd\0ef")
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pictures() -> dict[str, bytes]:
    from PIL import Image

    def saved(kind: str, mode: str = "RGB", **options) -> bytes:
        held = io.BytesIO()
        Image.new(mode, (5, 4), 7).save(held, kind, **options)
        return held.getvalue()

    block = Image.Exif()
    block[0x0112], block[0x010F] = 6, "Maker"
    hdr = chunk(b"cICP", bytes([9, 16, 0, 1])) + chunk(b"tRNS", bytes(2))
    plain = grey_png()
    return {
        "png": plain,
        "png-chunks": plain[:33] + hdr + plain[33:],
        "jpeg": saved("JPEG", exif=block),
        "webp": saved("WEBP"),
        "webp-lossless": saved("WEBP", lossless=True),
        "gif": saved("GIF", "P"),
        "bmp": saved("BMP"),
        "tiff": saved("TIFF"),
        "tiff-deflate": saved("TIFF", compression="tiff_adobe_deflate"),
        "tiff-big": saved("TIFF", big_tiff=True),
        "avif-hdr": b"\0\0\0\x1cftypavif" + bytes(30) + b"colrnclx\0\x09\0\x10\0\x09\x80",
        "exif": block.tobytes(),
    }


def main() -> None:
    made = {
        "container": containers,
        "payload": payloads,
        "model": models,
        "label_map": label_maps,
        "pickle": pickles,
        "picture": pictures,
    }
    for target, cases in made.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in cases().items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
