"""Small sets of pictures, and codecs that cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


class Steps:
    """A codec of the caller's own: keeps so many levels a sample, in raw bytes."""

    name, version, extension = "steps", "1", ".raw"
    ladder, settings = (2, 3, 4), tuple(range(1, 8))

    def __init__(self):
        self.encoded = []

    def encode(self, pixels, setting):
        self.encoded.append(setting)
        shift = 8 - int(setting)
        head = np.array([*pixels.shape[:2], shift], "<i4").tobytes()
        return head + bytes(pixels.size // 64 * int(setting)) + (pixels >> shift).tobytes()

    def decode(self, data):
        height, width, shift = np.frombuffer(data[:12], "<i4")
        pixels = np.frombuffer(data[-height * width * 3 :], np.uint8).reshape(height, width, 3)
        return (pixels << np.uint8(shift)) | np.uint8((1 << int(shift)) >> 1)


@pytest.fixture
def steps():
    return Steps()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory, photo):
    """A folder of three small pictures, one of them in a folder below."""
    folder = tmp_path_factory.mktemp("set")
    (folder / "below").mkdir()
    for seed, (name, size) in enumerate(
        [("a.png", (176, 192)), ("b.png", (184, 168)), ("below/c.png", (176, 176))]
    ):
        Image.fromarray(photo(*size, seed)).save(folder / name)
    return folder


@pytest.fixture
def make_row():
    """A function that makes a row: `make_row(codec="a", setting="1", bpp=1.0, psnr=30.0)`."""
    from tfhific.evaluation.results import Row

    def make(**changes) -> Row:
        facts = {
            "image": "a.png",
            "image_digest": "0" * 16,
            "width": 80,
            "height": 100,
            "codec": "a",
            "codec_version": "1",
            "target": "",
            "setting": "1",
            "reached": True,
            "bytes": 1000,
            "bpp": 1.0,
            "psnr": 30.0,
            "psnr_y": 31.0,
            "ms_ssim": 0.9,
            "lpips": float("nan"),
            "lpips_weights": "",
            "estimated_bpp": float("nan"),
            "encode_seconds": 0.2,
            "decode_seconds": 0.1,
            "peak_memory_mib": float("nan"),
            "versions": "Python 3",
            "command": "evaluate.py",
            "machine": "a processor, 2 cores, Linux, 1 job",
        }
        return Row(**{**facts, **changes})

    return make


@pytest.fixture(scope="session")
def small_lpips(tmp_path_factory):
    """A file of LPIPS weights with AlexNet's layers, narrow, and random numbers."""
    rng = np.random.default_rng(3)
    widths, sizes = [3, 8, 6, 6, 5, 5], [11, 5, 3, 3, 3]
    arrays = {}
    for i, size in enumerate(sizes):
        shape = [size, size, widths[i], widths[i + 1]]
        scale = np.sqrt(2 / np.prod(shape[:3]))
        arrays[f"conv{i + 1}/kernel"] = rng.normal(0, scale, shape).astype(np.float32)
        arrays[f"conv{i + 1}/bias"] = rng.normal(0, 0.1, shape[3]).astype(np.float32)
        arrays[f"lin{i}"] = rng.uniform(0, 1, shape[3]).astype(np.float32)
    path = tmp_path_factory.mktemp("weights") / "small.npz"
    np.savez(path, **arrays)
    return path
