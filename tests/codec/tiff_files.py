"""TIFF files of every layout, written from arrays by a writer of the tests' own."""

from __future__ import annotations

import dataclasses
import itertools
import struct
import zlib
from collections.abc import Iterator

import numpy as np

HEIGHT, WIDTH = 13, 19
ROWS_PER_STRIP = 5
TILE = 16

UNSIGNED, SIGNED, FLOAT, COMPLEX = 1, 2, 3, 6
# Sample formats: bits and TIFF's code.
SAMPLES = (
    *((bits, UNSIGNED) for bits in (1, 2, 4, 8, 12, 16, 32, 64)),
    *((bits, SIGNED) for bits in (8, 16, 32)),
    *((bits, FLOAT) for bits in (16, 32, 64)),
    (64, COMPLEX),
)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, LAB = 0, 1, 2, 3, 4, 5, 6, 8
CFA, LINEAR_RAW = 32803, 34892
# Photometric interpretation and what the samples beyond its own are: 0 unspecified, 1
# premultiplied alpha, 2 alpha.
COLOURS = (
    *((kind, extra) for kind in (WHITE_IS_ZERO, BLACK_IS_ZERO) for extra in ((), (0,), (1,), (2,))),
    *((RGB, extra) for extra in ((), (0,), (1,), (2,), (2, 0))),
    *((PALETTE, extra) for extra in ((), (2,))),
    *((CMYK, extra) for extra in ((), (0,), (2,))),
    *((kind, ()) for kind in (MASK, YCBCR, LAB, CFA, LINEAR_RAW)),
)
OWN_SAMPLES = {RGB: 3, CMYK: 4, YCBCR: 3, LAB: 3, LINEAR_RAW: 3}
NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 8, 32946, 32773
COMPRESSIONS = (NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS)
HORIZONTAL, FLOATING = 2, 3

_CODES = {1: "B", 3: "H", 4: "I"}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a TIFF file holds its samples."""

    bits: int
    sample_format: int
    photometric: int
    extra: tuple[int, ...]
    planar: int
    predictor: int
    order: str
    tiled: bool
    compression: int

    @property
    def samples(self) -> int:
        return OWN_SAMPLES.get(self.photometric, 1) + len(self.extra)


def layouts() -> Iterator[Layout]:
    """Every combination that can be written at all."""
    for (bits, form), (
        photometric,
        extra,
    ), planar, predictor, order, tiled, compression in itertools.product(
        SAMPLES, COLOURS, (1, 2), (1, HORIZONTAL, FLOATING), "<>", (False, True), COMPRESSIONS
    ):
        layout = Layout(
            bits, form, photometric, extra, planar, predictor, order, tiled, compression
        )
        if planar == 2 and layout.samples == 1:
            continue  # the same bytes as planar 1
        if predictor == HORIZONTAL and (bits not in (8, 16, 32, 64) or form == COMPLEX):
            continue  # not defined
        if predictor == FLOATING and form != FLOAT:
            continue
        if predictor != 1 and compression in (NONE, PACKBITS):
            continue  # defined for LZW and its successors
        yield layout


def sample_values(layout: Layout, seed: int = 0) -> np.ndarray:
    """Samples [HEIGHT, WIDTH, samples] of every kind of value, smooth so that they compress."""
    rng = np.random.default_rng([seed, layout.bits, layout.sample_format, layout.samples])
    shape = (HEIGHT, WIDTH, layout.samples)
    if layout.sample_format == COMPLEX:
        return rng.random(shape).astype(np.complex64)
    if layout.sample_format == FLOAT:
        return rng.random(shape).astype(f"f{layout.bits // 8}")
    largest = (1 << layout.bits) - 1
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ramps = [(x * (k + 3) + y * (2 * k + 5)) % 32 / 31 for k in range(layout.samples)]
    values = np.stack(ramps, -1) * 0.9 + rng.random(shape) * 0.1
    values = (values * largest).astype(np.uint64)
    values[0, 0], values[-1, -1] = 0, largest
    if layout.bits < 8 or layout.bits == 12:
        return values.astype(np.uint8 if layout.bits < 8 else np.uint16)
    return values.astype(f"u{layout.bits // 8}").view(
        f"{'i' if layout.sample_format == SIGNED else 'u'}{layout.bits // 8}"
    )


def colour_map(bits: int) -> np.ndarray:
    """uint16 [3, 2**bits], high bytes that differ from each other."""
    steps = np.arange(1 << bits, dtype=np.uint32)
    return np.stack(
        [(steps * 65535 // max(len(steps) - 1, 1)), 65535 - steps * 200, (steps * 9973) % 65536]
    ).astype(np.uint16)


def tiff(layout: Layout, values: np.ndarray, *tags: tuple[int, int, list]) -> bytes:
    """A TIFF file of the samples [height, width, samples].

    Args:
      tags: further ones, or others in place of those that the layout asks for: number, type
        (1 is byte, 3 short, 4 long; 2 is text, with its bytes as the one value), values.
    """
    planes = (
        [values] if layout.planar == 1 else [values[..., k : k + 1] for k in range(layout.samples)]
    )
    chunks = [_compressed(layout, part) for plane in planes for part in _parts(layout, plane)]
    offsets, body = [], b""
    for chunk in chunks:
        offsets.append(8 + len(body))
        body += chunk + bytes(len(chunk) % 2)
    height, width = values.shape[:2]
    lengths = [len(chunk) for chunk in chunks]
    entries = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [layout.bits] * layout.samples),
        259: (3, [layout.compression]),
        262: (3, [layout.photometric]),
        277: (3, [layout.samples]),
        284: (3, [layout.planar]),
        339: (3, [layout.sample_format] * layout.samples),
    }
    if layout.tiled:
        entries |= {322: (4, [TILE]), 323: (4, [TILE]), 324: (4, offsets), 325: (4, lengths)}
    else:
        entries |= {273: (4, offsets), 278: (4, [ROWS_PER_STRIP]), 279: (4, lengths)}
    if layout.extra:
        entries[338] = (3, list(layout.extra))
    if layout.predictor != 1:
        entries[317] = (3, [layout.predictor])
    if layout.photometric == PALETTE and layout.bits <= 16:
        entries[320] = (3, colour_map(layout.bits).ravel().tolist())
    if layout.photometric == YCBCR:
        entries[530] = (3, [1, 1])
    for tag, kind, content in tags:
        entries[tag] = (kind, content)
    return _file(layout.order, body, entries)


def _file(order: str, body: bytes, entries: dict[int, tuple[int, list[int]]]) -> bytes:
    first = 8 + len(body)
    behind = first + 2 + 12 * len(entries) + 4
    folder, tables = struct.pack(order + "H", len(entries)), b""
    for tag, (kind, content) in sorted(entries.items()):
        if kind == 2:
            data = content[0]
        else:
            data = struct.pack(f"{order}{len(content)}{_CODES[kind]}", *content)
        folder += struct.pack(order + "HHI", tag, kind, len(data) if kind == 2 else len(content))
        if len(data) <= 4:
            folder += data.ljust(4, b"\0")
        else:
            folder += struct.pack(order + "I", behind + len(tables))
            tables += data + bytes(len(data) % 2)
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(order + "HI", 42, first)
    return head + body + folder + bytes(4) + tables


def _parts(layout: Layout, plane: np.ndarray) -> Iterator[np.ndarray]:
    height, width = plane.shape[:2]
    if not layout.tiled:
        for y in range(0, height, ROWS_PER_STRIP):
            yield plane[y : y + ROWS_PER_STRIP]
        return
    down, right = -height % TILE, -width % TILE
    padded = np.pad(plane, ((0, down), (0, right), (0, 0)), mode="edge")
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            yield padded[y : y + TILE, x : x + TILE]


def _compressed(layout: Layout, part: np.ndarray) -> bytes:
    data = _packed(layout, part)
    if layout.compression == LZW:
        return lzw(data)
    if layout.compression in (DEFLATE, OLD_DEFLATE):
        return zlib.compress(data)
    if layout.compression == PACKBITS:
        rows = part.shape[0]
        step = len(data) // rows
        return b"".join(packbits(data[k * step : (k + 1) * step]) for k in range(rows))
    return data


def _packed(layout: Layout, part: np.ndarray) -> bytes:
    if layout.bits in (1, 2, 4, 12):
        flat = part.reshape(part.shape[0], -1).astype(np.uint16)
        shifts = np.arange(layout.bits - 1, -1, -1)
        bits = (flat[..., None] >> shifts & 1).astype(np.uint8)
        return np.packbits(bits.reshape(part.shape[0], -1), axis=1).tobytes()
    if layout.predictor == HORIZONTAL:
        whole = part.view(f"u{part.dtype.itemsize}")
        part = whole.copy()
        part[:, 1:] -= whole[:, :-1]
    if layout.predictor == FLOATING:
        # Bytes of one significance together, most significant first, then their differences.
        rows = part.reshape(part.shape[0], -1).astype(part.dtype.newbyteorder(">"))
        octets = rows.view(np.uint8).reshape(*rows.shape, -1).transpose(0, 2, 1)
        octets = octets.reshape(rows.shape[0], -1)
        step = part.shape[2]
        out = octets.copy()
        out[:, step:] -= octets[:, :-step]
        return out.tobytes()
    return part.astype(part.dtype.newbyteorder(layout.order)).tobytes()


def packbits(row: bytes) -> bytes:
    """Runs and literals of one row (TIFF 6.0, section 9)."""
    out, at = bytearray(), 0
    while at < len(row):
        run = 1
        while run < 128 and row[at : at + 1] == row[at + run : at + run + 1]:
            run += 1
        if run > 2:
            out += bytes([257 - run, row[at]])
        else:
            run = min(2, len(row) - at)
            out += bytes([run - 1]) + row[at : at + run]
        at += run
    return bytes(out)


def lzw(data: bytes) -> bytes:
    """LZW as TIFF 6.0 has it: most significant bit first, codes grow one code early."""
    bits: list[str] = [f"{256:09b}"]
    table, width = {bytes([k]): k for k in range(256)}, 9
    following = 258
    held = b""
    for value in data:
        longer = held + bytes([value])
        if longer in table:
            held = longer
            continue
        bits.append(f"{table[held]:0{width}b}")
        table[longer] = following
        following += 1
        if following == 4095:
            bits.append(f"{256:0{width}b}")
            table, width, following = {bytes([k]): k for k in range(256)}, 9, 258
        elif following == (1 << width):
            width += 1
        held = bytes([value])
    if held:
        bits.append(f"{table[held]:0{width}b}")
        following += 1
        if following == (1 << width) and width < 12:
            width += 1
    bits.append(f"{257:0{width}b}")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def shown(layout: Layout, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, int]:
    """What a viewer shows of unsigned samples.

    Returns:
      Colours float [H, W, 3], alpha float [H, W] or None, and by how much 8-bit values may
      differ from them.
    """
    largest = (1 << layout.bits) - 1
    unit = values.astype(float) * 255 / largest
    own = OWN_SAMPLES.get(layout.photometric, 1)
    alpha, slack = None, 0.51 if layout.bits <= 8 else 1.0
    if layout.extra[:1] in ((1,), (2,)):
        alpha = unit[..., own]
    if layout.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        grey = 255 - unit[..., :1] if layout.photometric == WHITE_IS_ZERO else unit[..., :1]
        colours = np.repeat(grey, 3, -1)
    elif layout.photometric == RGB:
        colours = unit[..., :3]
    elif layout.photometric == PALETTE:
        colours = colour_map(layout.bits)[:, values[..., 0]].transpose(1, 2, 0) // 256
    elif layout.photometric == CMYK:
        colours = (255 - unit[..., :3]) * (255 - unit[..., 3:4]) / 255
        slack = 2.0
    elif layout.photometric == YCBCR:
        light, blue, red = unit[..., 0], unit[..., 1] - 128, unit[..., 2] - 128
        colours = np.stack(
            [light + 1.402 * red, light - 0.344136 * blue - 0.714136 * red, light + 1.772 * blue],
            -1,
        )
        colours = np.clip(colours, 0, 255)
        slack = 2.0
    else:
        raise ValueError(f"no viewer shows {layout}")
    if layout.extra[:1] == (1,):
        with np.errstate(divide="ignore", invalid="ignore"):
            colours = np.where(alpha[..., None] > 0, colours * 255 / alpha[..., None], colours)
        colours = np.clip(colours, 0, 255)
    return colours, alpha, slack
