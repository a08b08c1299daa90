"""Files of the Python codec with what it makes of them, in a folder that the Node tests read."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import struct

import numpy as np
from PIL import Image

import tfhific
from tests.serving import pictures
from tfc_port import coding
from tfhific.bitstream import container
from tfhific.errors import BitstreamError
from tfhific.pictures.images import Picture
from tfhific.published.store import model_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "codec" / "data"
SHIPPED = {path.parent.name: path.parent for path in ROOT.glob("tfhific/zoo/**/model.safetensors")}


class Folder:
    """A folder of files, and `files.json`, which says what each should become."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._entries: list[dict] = []

    def add(self, name: str, data: bytes, codec, model: pathlib.Path, pixels=True) -> None:
        """Adds a file with its latents, pixels and metadata as the Python codec reads them.

        Without `pixels` they are not compared: of latents far beyond a picture's, sums in another
        order give other ones.
        """
        latents, picture = codec.decode_latents(data), codec.decompress_picture(data)
        self._put(f"{name}.tfh", data)
        self._put(f"{name}.z", latents.z.astype("<i4").tobytes())
        self._put(f"{name}.indexes", latents.indexes.astype("<i4").tobytes())
        self._put(f"{name}.symbols", latents.y.astype("<i4").tobytes())
        if pixels:
            self._put(f"{name}.rgb", picture.pixels.tobytes())
        for kind in ("alpha", "icc", "exif"):
            value = getattr(picture, kind)
            if value is not None:
                self._put(f"{name}.{kind}", bytes(value))
        height, width = picture.pixels.shape[:2]
        self._entry(name, model, height, width)

    def add_kept(self, path: pathlib.Path, model: pathlib.Path) -> None:
        """Adds a file that was made long ago, with the picture that it was then."""
        pixels = np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"))
        self._put(f"{path.stem}.tfh", path.read_bytes())
        self._put(f"{path.stem}.rgb", pixels.tobytes())
        self._entry(path.stem, model, *pixels.shape[:2])

    def save(self) -> None:
        self._put("files.json", json.dumps(self._entries).encode())

    def _entry(self, name: str, model: pathlib.Path, height: int, width: int) -> None:
        # Of a decoder alone its own file, and its codec's.
        files = dict(zip(("model", "codec"), model_files(model)))
        self._entries.append({"name": name, **files, "height": height, "width": width})

    def _put(self, name: str, data: bytes) -> None:
        (self.path / name).write_bytes(data)


def decoder_alone_of(model, codec_folder: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Writes a decoder alone of a model's files, by the folder's name: darker, of a layer more."""
    from tfhific.published.network import Network
    from tfhific.published.store import save_model
    from tfhific.publishing.decoder import decoder_alone

    synthesis = model.networks["synthesis"]
    weights = {key: value * np.float16(0.75) for key, value in synthesis.weights.items()}
    network = Network([*synthesis.layers, {"op": "leaky_relu", "slope": 0.5}], weights)
    networks = {**model.networks, "synthesis": network}
    other = dataclasses.replace(model, name=folder.name, networks=networks)
    save_model(decoder_alone(other, str(codec_folder)), folder)
    return folder


def written_anew(data: bytes, codec, *, z=None, change=None, bands=0, streams=(1, 1), version=1):
    """The file with its latents in another layout, or with others.

    Args:
      data: a file.
      codec: of its model.
      z: other hyperlatents; None for the file's.
      change: a function that changes the symbols in place.
      bands: latent rows a band, 0 for one band.
      streams: of the hyperlatents, and of each band.
      version: of the format.
    """
    contents, latents, model = container.unpack(data), codec.decode_latents(data), codec.published
    symbols, indexes = latents.y.copy(), latents.indexes
    if z is None:
        z = latents.z
    else:
        height, width = symbols.shape[:2]
        indexes = model.branch(z[None])[0, :height, :width]
    if change is not None:
        change(symbols)
    channels = np.broadcast_to(np.arange(z.shape[-1], dtype=np.int32), z.shape).ravel()
    cuts = range(0, len(symbols), bands or len(symbols))
    payloads = []
    for top in cuts:
        rows = slice(top, top + (bands or len(symbols)))
        payloads.append(
            coding.encode(
                symbols[rows].ravel(), indexes[rows].ravel(), model.y_tables, streams=streams[1]
            )
        )
    anew = dataclasses.replace(
        contents,
        z=coding.encode(z.ravel(), channels, model.z_tables, streams=streams[0]),
        y=container.join_bands(payloads),
        z_streams=streams[0],
        y_streams=streams[1],
        band_rows=bands,
        version=version,
    )
    return container.pack(anew)


def fill(folder: Folder, photo, tiny_codec, tiny_folder: pathlib.Path) -> None:
    """Files of the tiny model: sizes, qualities, layouts, escapes, metadata."""
    for number, (height, width) in enumerate([(1, 1), (3, 70), (64, 64), (150, 211)]):
        data = tiny_codec.compress(photo(height, width), (1.0, 8.0, 6.5, 5.0)[number])
        folder.add(f"tiny-{height}x{width}", data, tiny_codec, tiny_folder)
    layouts = {
        "bands": {"bands": 4, "streams": (1, 8)},
        "streams": {"streams": (16, 64)},
        "more-streams-than-symbols": {"bands": 4, "streams": (1024, 1024)},
        "version-0": {"version": 0, "streams": (2, 4)},
    }
    for name, layout in layouts.items():
        folder.add(
            f"tiny-{name}", written_anew(data, tiny_codec, **layout), tiny_codec, tiny_folder
        )

    for name, far in (("escapes", 300), ("outliers", 1 << 24)):

        def escape(symbols: np.ndarray, far: int = far) -> None:
            symbols[0, 0, :4] = [far, -far, far // 2, -far // 2]
            symbols[-1, -1, -1] = far

        z = tiny_codec.decode_latents(data).z.copy()
        z[0, 0, :3] = [far, -far, far // 4 + 1]
        escaped = written_anew(data, tiny_codec, z=z, change=escape, streams=(1, 4))
        folder.add(f"tiny-{name}", escaped, tiny_codec, tiny_folder, pixels=far == 300)

    size = (45, 83)
    exif = pictures.exif(1)
    plane = np.clip(photo(*size, 3)[..., 0].astype(int) * 2 - 120, 0, 255).astype(np.uint8)
    whole = Picture(pixels=photo(*size), alpha=plane, icc=pictures.profile(), exif=exif)
    folder.add("tiny-metadata", tiny_codec.compress_picture(whole), tiny_codec, tiny_folder)


def fill_shipped(folder: Folder, photo) -> None:
    """A file in two bands of each model in the repository, and the kept ones."""
    for name, path in SHIPPED.items():
        codec = tfhific.load(path)
        data = codec.compress(photo(70, 40, 4), 4.25)
        folder.add(name, written_anew(data, codec, bands=4), codec, path)
    for path in sorted(KEPT.glob("format*.tfh")):
        folder.add_kept(path, SHIPPED["mini-v1"])


def fill_hific(folder: Folder, photo, model_folder: pathlib.Path) -> None:
    """Files of a tiny HiFiC, whose layers, pixels and scale indexes differ from a mini's."""
    from tfhific.backend import keras
    from tfhific.models.hific import PRESETS, HiFiC
    from tfhific.published.store import save_model
    from tfhific.publishing.hyperprior import publish

    for number, variant in enumerate(("official", "pytorch")):
        keras.utils.set_random_seed(number)
        model = HiFiC(dataclasses.replace(PRESETS["hific-tiny"], variant=variant))
        rng = np.random.default_rng(number)
        pixels = model.to_range(photo(64, 64)[None].astype(np.float32))
        z = model.hyper_analysis(model.encoder(pixels))
        model.hyper_synthesis_mean(z), model.hyper_synthesis_scale(z)
        for variable in model.trainable_variables:
            if len(variable.shape) == 1:
                variable.assign_add(rng.normal(0, 0.3, variable.shape))
        path = model_folder / variant
        save_model(publish(model, variant, {"system": "hific"}), path)
        codec = tfhific.load(path)
        for size in ((9, 30), (90, 140)):
            name = f"hific-{variant}-{size[0]}x{size[1]}"
            folder.add(name, codec.compress(photo(*size)), codec, path)


def sealed(body: bytes) -> bytes:
    """A file of these bytes, whatever they are, with the checksum that fits."""
    from tfhific.bitstream.checksum import checksum

    return body + checksum(body)


def hostile(data: bytes) -> dict[str, bytes]:
    """Files that fit their checksum and are none, by what is wrong with them."""
    body, contents = data[:-8], container.unpack(data)

    def packed(**changes) -> bytes:
        return container.pack(dataclasses.replace(contents, **changes))

    plane = pictures.saved(np.zeros([contents.height, contents.width], np.uint8), "PNG")
    wrong_size = pictures.saved(np.zeros([contents.height + 1, contents.width], np.uint8), "PNG")
    idat = plane.index(b"IDAT")
    bomb = plane[:8] + _chunk(b"IHDR", plane[16:29]) + _chunk(b"IDAT", _zeros(1 << 24))
    return {
        "no bytes": b"",
        "another format": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "version 2": sealed(body[:3] + b"\2" + body[4:]),
        "only a head": sealed(body[:12]),
        "a picture of no height": packed(height=0),
        "a picture larger than allowed": packed(height=1 << 20, width=1 << 20),
        "a picture larger than its bytes hold": packed(height=12_000, width=12_000),
        "another model": packed(fingerprint=bytes(8)),
        "a quality beyond 8": packed(quality_code=28_673),
        "bands of 3 rows": packed(band_rows=3),
        "bands higher than the picture": packed(band_rows=1 << 20),
        "hyperlatents that are missing": packed(z=b""),
        "latents that are missing": packed(y=b""),
        "unknown flags of a payload": packed(y=b"\x60" + contents.y[1:]),
        "zeros behind the latents": packed(y=contents.y + bytes(64)),
        "an alpha plane that is empty": packed(alpha=b""),
        "an alpha plane of another size": packed(alpha=wrong_size),
        "an alpha plane with text in it": packed(
            alpha=plane[: idat - 4] + _chunk(b"tEXt", b"a\0b") + plane[idat - 4 :]
        ),
        "an alpha plane that is cut short": packed(alpha=plane[:-12]),
        "an alpha plane with a damaged chunk": packed(
            alpha=plane[: idat + 6] + b"\xff" + plane[idat + 7 :]
        ),
        "an alpha plane that inflates without end": packed(alpha=bomb + _chunk(b"IEND", b"")),
    }


def _zeros(count: int) -> bytes:
    import zlib

    return zlib.compress(bytes(count), 9)


def _chunk(kind: bytes, data: bytes) -> bytes:
    import zlib

    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def mutated(data: bytes, codec, count: int) -> dict[str, tuple[bytes, bool]]:
    """Files with some bytes changed, or cut, under a checksum that fits.

    Returns:
      By name the file, and whether the Python codec decodes its latents.
    """
    rng = np.random.default_rng(7)
    found = {}
    for number in range(count):
        body = bytearray(data[:-8])
        # Hardly any change of a stream is another one; some of the size and the quality are.
        if number % 2:
            for _ in range(rng.integers(1, 3)):
                body[rng.integers(12, len(body))] = rng.integers(256)
        else:
            body[rng.integers(12, 17)] ^= 1 << rng.integers(8)
        if number % 8 == 1:
            del body[rng.integers(12, len(body)) :]
        file = sealed(bytes(body))
        try:
            codec.decode_latents(file)
            decodes = True
        except BitstreamError:
            decodes = False
        found[f"mutated-{number}"] = file, decodes
    return found
