"""A decoder of `.tfh` files of a `mini` that follows docs/format.md and docs/coding.md by the step.

It imports nothing of this project and nothing that runs networks, so that the pages are held
against the test vectors by other code than that which made them. Of the table of layers it has
those of the vectors' model, and of models those with means in one pass.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zlib
from typing import Any

import numpy as np
from PIL import Image

MASK = (1 << 64) - 1
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


class Refused(Exception):
    """The file is not one, or is damaged."""


def need(fits: bool, what: str) -> None:
    if not fits:
        raise Refused(what)


def farmhash64(data: bytes) -> int:
    """The checksum of more than 16 bytes."""
    n = len(data)

    def at(i: int) -> int:
        return int.from_bytes(data[i : i + 8], "little")

    def rot(v: int, by: int) -> int:
        v &= MASK
        return (v >> by | v << (64 - by)) & MASK

    def mix(v: int) -> int:
        v &= MASK
        return v ^ v >> 47

    def pair(u: int, v: int, f: int) -> int:
        a = mix(((u ^ v) & MASK) * f)
        return mix(((v ^ a) & MASK) * f) * f & MASK

    if n <= 64:
        f = K2 + 2 * n
        a, b = at(0) * (K1 if n <= 32 else K2), at(8)
        c, d = at(n - 8) * f, at(n - 16) * K2
        y = rot(a + b, 43) + rot(c, 30) + d
        z = pair(y & MASK, a + rot(b + K2, 18) + c & MASK, f)
        if n <= 32:
            return z
        e, g = at(16) * f, at(24)
        h, i = (y + at(n - 32)) * f, (z + at(n - 24)) * f
        left, right = rot(e + g, 43) + rot(h, 30) + i, e + rot(g + a, 18) + h
        return pair(left & MASK, right & MASK, f)

    def weak(p: int, q: int, r: int, s: int, a: int, b: int) -> tuple[int, int]:
        a += p
        b = rot(b + a + s, 21)
        c = a
        a += q + r
        b += rot(a, 44)
        return a + s & MASK, b + c & MASK

    y = 81 * K1 + 113 & MASK
    z = mix(y * K2 + 113) * K2 & MASK
    x, v, w = 81 * K2 + at(0) & MASK, (0, 0), (0, 0)

    def turn(i: int, f: int, m: int) -> None:
        nonlocal x, y, z, v, w
        d = [at(i + 8 * k) for k in range(8)]
        x = rot(x + y + v[0] + d[1], 37) * f & MASK
        y = rot(y + v[1] + d[6], 42) * f & MASK
        x ^= m * w[1] & MASK
        y = y + m * v[0] + d[5] & MASK
        z = rot(z + w[0], 33) * f & MASK
        v = weak(d[0], d[1], d[2], d[3], v[1] * f, x + w[0])
        w = weak(d[4], d[5], d[6], d[7], z + w[1], y + d[2])
        x, z = z, x

    for block in range((n - 1) // 64):
        turn(64 * block, K1, 1)
    f = K1 + 2 * (z & 255)
    w = (w[0] + (n - 1 & 63) & MASK, w[1])
    v = (v[0] + w[0] & MASK, v[1])
    w = (w[0] + v[0] & MASK, w[1])
    turn(n - 64, f, 9)
    left = pair(v[0], w[0], f) + mix(y) * K0 + z
    return pair(left & MASK, pair(v[1], w[1], f) + x & MASK, f)


class Bytes:
    """Takes bytes and numbers from the front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        need(count <= self.left, "ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self) -> int:
        value = 0
        for place in range(5):
            byte = self.take(1)[0]
            value |= (byte & 127) << 7 * place
            if byte < 128:
                need(byte > 0 or place == 0, "a varint that could be shorter")
                return value
        raise Refused("a varint of more than five bytes")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a CDF table: its first value, precision and cumulative counts."""

    first: int
    precision: int
    counts: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.counts) - 1

    @property
    def likeliest(self) -> int:
        widths = np.diff(self.counts)
        return int(np.argmax(widths))

    @property
    def least_bits(self) -> float:
        return self.precision - float(np.log2(np.diff(self.counts).max()))


def rows_of(lookup: np.ndarray, minimum: np.ndarray) -> list[Row]:
    rows, at = [], 0
    values = lookup.tolist()
    for first in minimum.tolist():
        precision = values[at]
        end = values.index(1 << precision, at + 1)
        rows.append(Row(first, precision, tuple(values[at + 1 : end + 1])))
        at = end + 1
    assert at == len(values)
    return rows


def decode_stream(data: bytes, rows: list[Row]) -> list[int]:
    """Symbols, a row for each."""
    padded = data + bytes(4 + 2 * len(rows) + 2)
    value, size, read = int.from_bytes(padded[:4], "big"), 1 << 32, 4
    symbols = []
    for row in rows:
        p, c = row.precision, row.counts
        t = (((value + 1) << p) - 1) // size
        i = int(np.searchsorted(c, t, side="right")) - 1
        low, high = size * c[i] >> p, size * c[i + 1] >> p
        value, size = value - low, high - low
        if size <= 1 << 16:
            value = value << 16 | int.from_bytes(padded[read : read + 2], "big")
            size, read = size << 16, read + 2
        symbols.append(i)
    last = int.from_bytes(padded[read - 4 : read], "big")
    base = (last - value) % (1 << 32)
    for bits in (32, 24, 16):
        end = -(-base >> bits) << bits
        if end < base + size:
            break
    need(end % (1 << 32) == last and len(data) <= read, "a stream that does not end as it should")
    return symbols


def decode_payload(data: bytes, rows: list[Row], streams: int) -> np.ndarray:
    """Values of a payload, a row for each."""
    source = Bytes(data)
    head = source.take(1)[0]
    need(not head & 0x60, "bits that must be 0")
    width = head & 31
    escapes = b""
    if head & 128:
        count = source.varint()
        need(count > 0, "an escape list of no bytes")
        escapes = source.take(count)
    lengths: list[int] = []
    if streams > 1:
        base = source.varint()
        packed = source.take(-(-(streams - 1) * width // 8))
        bits = np.unpackbits(np.frombuffer(packed, np.uint8)).tolist()
        need(not any(bits[(streams - 1) * width :]), "bits that must be 0")
        more = [
            int("".join(map(str, bits[k * width : (k + 1) * width])) or "0", 2)
            for k in range(streams - 1)
        ]
        need(min(more) == 0 and max(more).bit_length() == width, "lengths that could be shorter")
        lengths = [base + each for each in more]
    else:
        need(width == 0, "a width with one stream")
    need(sum(lengths) <= source.left, "lengths beyond the payload")
    parts = [source.take(length) for length in lengths]
    parts.append(source.take(source.left))
    coded = [k for k, row in enumerate(rows) if row.size > 1]
    found = [row.first for row in rows]
    for number, part in enumerate(parts):
        places = coded[number::streams]
        for place, symbol in zip(places, decode_stream(part, [rows[k] for k in places])):
            found[place] = rows[place].first + symbol
    source, place = Bytes(escapes), -1
    while source.left:
        place += 1 + source.varint()
        excess = source.varint()
        need(place < len(rows), "an escape beyond the values")
        row = rows[place]
        need(found[place] == row.first + row.likeliest, "an escape of another symbol")
        half = excess >> 1
        found[place] = row.first - half - 1 if excess & 1 else row.first + row.size + half
        need(-(1 << 31) <= found[place] < 1 << 31, "a value beyond int32")
    return np.array(found, np.int32)


class Model:
    """`model.safetensors`."""

    def __init__(self, data: bytes) -> None:
        size = int.from_bytes(data[:8], "little")
        heads = json.loads(data[8 : 8 + size])
        self.description = json.loads(heads.pop("__metadata__")["tfhific"])
        kinds = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
        self.arrays: dict[str, np.ndarray] = {}
        for name, head in heads.items():
            begin, end = (8 + size + offset for offset in head["data_offsets"])
            value = np.frombuffer(data[begin:end], kinds[head["dtype"]]).reshape(head["shape"])
            self.arrays[name] = value.astype(np.float32) if head["dtype"] == "F16" else value
        self.z_rows, self.y_rows = (
            rows_of(self.arrays[f"{name}/lookup"], self.arrays[f"{name}/minimum"])
            for name in ("z_tables", "y_tables")
        )
        self.fingerprint = bytes.fromhex(self.description["fingerprint"])
        self.least = self.description.get("min_latents", 1)

    def indexes(self, z: np.ndarray) -> np.ndarray:
        """The integer branch, in Python's own order of sums: all are exact."""
        x = np.clip(z, -4095, 4095).astype(np.int64)
        layers = self.description["branch"]
        assert "branch/thresholds" not in self.arrays
        for number, layer in enumerate(layers):
            kernel, bias = (self.arrays[f"branch/{number}/{part}"] for part in ("kernel", "bias"))
            total = linear(layer, x, kernel.astype(np.int64)) + bias
            shift = layer["shift"]
            limit = len(self.y_rows) - 1 if number == len(layers) - 1 else (1 << 18) - 1
            x = np.clip((total + (1 << shift - 1)) >> shift, 0, limit)
        return x

    def run(self, layers: list[dict[str, Any]], x: np.ndarray) -> np.ndarray:
        """A network's layers on [height, width, channels]."""
        for layer in layers:
            kind = layer["op"]

            def array(part: str, name: str = layer.get("name", "")) -> np.ndarray:
                return self.arrays[f"{name}/{part}"].astype(np.float64)

            if kind in ("conv", "deconv"):
                x = linear(layer, x, array("kernel")) + array("bias")
            elif kind == "gdn":
                n = np.abs(x) @ array("gamma") + array("beta")
                x = x * n if layer.get("inverse") else x / n
            elif kind == "relu":
                x = np.maximum(x, 0)
            elif kind == "leaky_relu":
                x = np.where(x < 0, layer["slope"] * x, x)
            elif kind == "scale":
                x = layer["factor"] * x
            elif kind == "depth_to_space":
                (height, width, depth), b = x.shape, layer["block"]
                x = x.reshape(height, width, b, b, depth // b**2).transpose(0, 2, 1, 3, 4)
                x = x.reshape(height * b, width * b, -1)
            elif kind == "sum":
                x = np.sum([self.run(branch, x) for branch in layer["branches"]], axis=0)
            elif kind == "residual":
                x = x + self.run(layer["branch"], x)
            else:
                raise NotImplementedError(kind)
        return x


def linear(layer: dict[str, Any], x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The sums of a `conv` or a `deconv`, zeros around."""
    assert "pads" not in layer
    assert "crop" not in layer
    stride, k = layer["stride"], kernel.shape[0]
    height, width = x.shape[:2]
    if layer["op"] == "conv":
        before, after = k // 2, (k - 1) // 2
        x = np.pad(x, ((before, after), (before, after), (0, 0)))
        shape = [-(-height // stride), -(-width // stride), kernel.shape[3]]
        out = np.zeros(shape, x.dtype)
        for i, j in np.ndindex(k, k):
            taken = x[i : i + height : stride, j : j + width : stride]
            out += taken @ kernel[i, j]
        return out
    room = np.zeros([stride * height + k, stride * width + k, kernel.shape[2]], x.dtype)
    for i, j in np.ndindex(k, k):
        place = room[i : i + stride * height : stride, j : j + stride * width : stride]
        place += x @ kernel[i, j].T
    crop = k // 2
    return room[crop : crop + stride * height, crop : crop + stride * width]


@dataclasses.dataclass(frozen=True)
class Decoded:
    """What a file holds: integers, and float pixels before they are rounded."""

    z: np.ndarray
    indexes: np.ndarray
    symbols: np.ndarray
    pixels: np.ndarray
    alpha: np.ndarray | None
    icc: bytes | None
    exif: bytes | None


def read_alpha(data: bytes, height: int, width: int) -> np.ndarray:
    source = Bytes(data)
    need(source.take(8) == b"\x89PNG\r\n\x1a\n", "no PNG")
    kinds: list[bytes] = []
    rows = b""
    while not kinds or kinds[-1] != b"IEND":
        length = int.from_bytes(source.take(4), "big")
        kind, body = source.take(4), b""
        body = source.take(length)
        need(zlib.crc32(kind + body) == int.from_bytes(source.take(4), "big"), "a damaged chunk")
        if kind == b"IHDR":
            sides = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
            need(sides == (width, height) and body[8:] == b"\x08\0\0\0\0", "another kind of PNG")
        kinds.append(kind)
        need(len(kinds) <= 65_538, "too many chunks")
        rows += body if kind == b"IDAT" else b""
    shape = [b"IHDR", *[b"IDAT"] * (len(kinds) - 2), b"IEND"]
    need(kinds == shape and len(kinds) > 2 and not body and not source.left, "other chunks")
    wanted = height * (width + 1)
    inflater = zlib.decompressobj()
    try:
        need(len(inflater.decompress(rows, wanted + 1)) == wanted, "too few rows, or too many")
        need(inflater.eof and not inflater.unused_data, "rows that do not end, or something behind")
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image)
    except (zlib.error, OSError) as error:
        raise Refused(str(error)) from None


def decode(data: bytes, model: Model, most_pixels: int = 178_956_970) -> Decoded:
    """Decodes a file.

    Raises:
      Refused: when it has to be refused.
    """
    need(data[:3] == b"TFH", "other magic")
    need(len(data) > 24 and data[3] <= 1, "an unknown version, or too short")
    version, body = data[3], data[:-8]
    need(farmhash64(body) == int.from_bytes(data[-8:], "little"), "the checksum does not fit")
    source = Bytes(body)
    source.take(4)
    need(source.take(8) == model.fingerprint, "another model")
    height, width = source.varint(), source.varint()
    need(0 < height * width <= most_pixels, "an impossible size")
    code = int.from_bytes(source.take(2), "little")
    flagged, code = code >> 15, code & 0x7FFF
    need(code <= 28_672, "an impossible quality")
    logs = source.take(1)[0]
    need(max(logs & 15, logs >> 4) <= 10, "too many streams")
    z_streams, y_streams = 1 << (logs & 15), 1 << (logs >> 4)
    band = source.varint() if version else 0
    z_length = source.varint()
    extra_length = source.varint() if flagged else 0
    z_payload = source.take(z_length)
    extra, entries = Bytes(source.take(extra_length)), {}
    while extra.left:
        tag = extra.take(4)
        need(tag in (b"ALPH", b"ICCP", b"EXIF") and tag not in entries, "an unknown entry")
        entries[tag] = extra.take(extra.varint())
    y_payload = source.take(source.left)
    alpha = read_alpha(entries[b"ALPH"], height, width) if b"ALPH" in entries else None

    h, w = (max(-(-side // 16), model.least) for side in (height, width))
    z_shape = (-(-h // 4), -(-w // 4), len(model.z_rows))
    latents = len(model.arrays["log_inverse_gain"][0])
    need(band % 4 == 0 and band <= h, "impossible bands")
    rows = band or h
    need(not version or rows <= 4 or rows * w * latents <= 1 << 23, "a band of too many latents")
    least_z = sum(row.least_bits for row in model.z_rows) * z_shape[0] * z_shape[1]
    least_y = min(row.least_bits for row in model.y_rows) * h * w * latents
    need(least_z <= 8 * (z_length + 4 * z_streams), "too few bytes of z")
    tops = range(0, h, rows)
    need(least_y <= 8 * (len(y_payload) + 4 * y_streams * len(tops)), "too few bytes of y")
    bands = Bytes(y_payload)
    payloads = [bands.take(bands.varint()) for _ in tops[:-1]]
    payloads.append(bands.take(bands.left))

    z = decode_payload(z_payload, model.z_rows * (z_shape[0] * z_shape[1]), z_streams)
    z = z.reshape(z_shape)
    indexes = model.indexes(z)[:h, :w]
    symbols = []
    for top, payload in zip(tops, payloads):
        of_band = [model.y_rows[index] for index in indexes[top : top + rows].ravel()]
        symbols.append(decode_payload(payload, of_band, y_streams).reshape(-1, w, latents))
    y = np.concatenate(symbols)
    networks = model.description["networks"]
    values = y + model.run(networks["hyper_synthesis_mean"], z.astype(np.float64))[:h, :w]
    low, share = divmod(code / 4096, 1)
    table = model.arrays["log_inverse_gain"].astype(np.float64)
    rate = min(int(low) + 1, len(table) - 1)
    gain = np.exp((1 - share) * table[int(low)] + share * table[rate])
    pixels = model.run(networks["synthesis"], values * gain)
    a, b = model.description.get("pixel_range", (-0.5, 0.5))
    shown = np.clip((pixels - a) / (b - a) * 255, 0, 255)[:height, :width]
    return Decoded(z, indexes, y, shown, alpha, entries.get(b"ICCP"), entries.get(b"EXIF"))
