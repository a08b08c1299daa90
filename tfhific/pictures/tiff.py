"""TIFF files: which page is the picture, and whether its layout is one that is read rightly.

TIFF allows more than any reader knows, and Pillow decodes some layouts wrongly without an error. So
a page goes to Pillow as it is only if its layout is in the table below, every row of which the
tests compare with tifffile; what Pillow does not read or reads wrongly, separate planes above all,
is read by `picture_tiff_planes`; and what is in neither is refused by name.

libtiff, inside Pillow, reports what it misses on the process's standard error, where Python can
neither catch nor silence it. So it is also told here whether all is there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from tfhific.pictures import tiff_folder as tiff
from tfhific.pictures.colour import UnfaithfulError
from tfhific.pictures.pieces import Pieces
from tfhific.pictures.tiff_folder import Folder, FolderReader, TruncatedError

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
_CFA, _LINEAR_RAW = 32803, 34892
_OTHER_PHOTOMETRICS = {
    4: "a transparency mask",
    8: "LAB colours (CIE)",
    9: "LAB colours (ICC)",
    10: "LAB colours (ITU)",
    32844: "LogL samples",
    32845: "LogLuv samples",
    51177: "a depth map",
}
OWN_SAMPLES = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
UNSPECIFIED, PREMULTIPLIED, ALPHA = 0, 1, 2
_MISSING = "missing"
# What Pillow decodes rightly with one plane: photometric interpretation and bits, what the samples
# beyond the colours may be, and the byte orders.
_OPAQUE = ((),)
_PILLOW_READS = {
    **{(p, b): (_OPAQUE, "<>") for p in (WHITE_IS_ZERO, BLACK_IS_ZERO, PALETTE) for b in (1, 2, 4)},
    (WHITE_IS_ZERO, 8): (_OPAQUE, "<>"),
    (BLACK_IS_ZERO, 8): (((), (ALPHA,)), "<>"),
    (BLACK_IS_ZERO, 16): (_OPAQUE, "<>"),
    (RGB, 8): (((), (0,), (1,), (2,), (0, 0), (1, 0), (2, 0), _MISSING), "<>"),
    (RGB, 16): (((), (0,), (1,), (2,), _MISSING), "<>"),
    (PALETTE, 8): (((), (ALPHA,)), "<>"),
    (CMYK, 8): (((), (0,)), "<>"),
    (CMYK, 16): (_OPAQUE, "<>"),
}
UNCOMPRESSED = 1
# Those that give bytes, whatever the bytes mean.
BYTEWISE = (UNCOMPRESSED, 5, 8, 32773, 32946)
_OLD_JPEG, _JPEG = 6, 7
_FAX = (2, 3, 4, 32771)
_RAW_COMPRESSIONS = (32767, 32769, 32770, 34713, 65535)
_COMPRESSIONS = {
    32766: "NeXT compression",
    32809: "ThunderScan compression",
    34661: "JBIG compression",
    34676: "SGI Log compression",
    34677: "SGI Log compression",
    34712: "JPEG 2000 inside",
    34887: "LERC compression",
    34892: "lossy JPEG of camera raw inside",
    34925: "LZMA compression",
    34933: "PNG inside",
    50000: "ZSTD compression",
    50001: "WebP inside",
    50002: "JPEG XL inside",
    52546: "JPEG XL inside",
}
_MAKERS = (
    (b"NIKON", "Nikon NEF"),
    (b"SONY", "Sony ARW"),
    (b"PENTAX", "Pentax PEF"),
    (b"RICOH", "Pentax PEF"),
    (b"SAMSUNG", "Samsung SRW"),
    (b"CANON", "Canon raw"),
)
_MAX_SUB_FOLDERS = 64
_MAX_SAMPLES = 8
_MAX_TILE_SIDE = 1 << 16
_HEADER_BYTES = 8


@dataclass(frozen=True)
class Page:
    """The page of a TIFF file that is the picture.

    Attributes:
      folder: its tags.
      is_first: whether it is the file's first.
      in_planes: whether it is for `picture_tiff_planes`, and not for Pillow as it is.
      photometric, bits, samples, planar, compression, predictor: as its tags say.
      extra: what the samples beyond the colours are; alpha for RGB's that nothing is said of.
    """

    folder: Folder
    is_first: bool
    in_planes: bool
    photometric: int
    bits: int
    samples: int
    planar: int
    compression: int
    predictor: int
    extra: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as stored."""
        return self.folder.one(tiff.WIDTH, 0), self.folder.one(tiff.HEIGHT, 0)

    @property
    def tile(self) -> tuple[int, int] | None:
        """Width and height of a tile; None for strips."""
        if tiff.TILE_OFFSETS not in self.folder.tags:
            return None
        return self.folder.one(tiff.TILE_WIDTH, 0), self.folder.one(tiff.TILE_HEIGHT, 0)

    @property
    def rows_per_strip(self) -> int:
        """Rows in each strip but the last."""
        height = self.size[1]
        return max(min(self.folder.one(tiff.ROWS_PER_STRIP, height), height), 1)


def read_tiff(stream: BinaryIO) -> Page:
    """Finds the page to show. Leaves the stream at its beginning.

    Raises:
      TruncatedError: something that decoding needs lies beyond the end of the file, or is missing.
      UnfaithfulError: a kind that is not read; named.
    """
    try:
        reader = FolderReader(stream)
        first = folder = reader.first()
        _refuse_camera_raw(stream, reader, first)
        if not first.is_full_page:
            full = next((page for page in reader.pages() if page.is_full_page), None)
            if full is None:
                raise UnfaithfulError("TIFF whose pages are all of reduced resolution")
            folder = full
            _refuse_camera_raw(stream, reader, folder)
        page = _page(folder, folder is first)
        _check_chunks(page, reader.total)
        return page
    finally:
        stream.seek(0)


def stream_of(page: Page, stream: BinaryIO) -> BinaryIO | Pieces:
    """A TIFF file whose first page is this one."""
    if page.is_first:
        return stream
    order, start = page.folder.order, page.folder.start
    code, at = ("Q", 8) if page.folder.big else ("I", 4)
    stream.seek(0)
    head = stream.read(at) + struct.pack(order + code, start)
    total = stream.seek(0, 2)
    return Pieces([head, (stream, len(head), total - len(head))])


def _refuse_camera_raw(stream: BinaryIO, reader: FolderReader, folder: Folder) -> None:
    stream.seek(8)
    if stream.read(2) == b"CR" and not folder.big:
        raise UnfaithfulError("camera raw (Canon CR2)")
    if tiff.DNG_VERSION in folder.octets:
        raise UnfaithfulError("camera raw (DNG)")
    inner = []
    for start in folder.all(tiff.SUB_FOLDERS)[:_MAX_SUB_FOLDERS]:
        try:
            inner.append(reader.at(start))
        except TruncatedError:
            continue
    for part in (folder, *inner):
        raw = part.one(tiff.PHOTOMETRIC, -1) in (_CFA, _LINEAR_RAW)
        if raw or part.one(tiff.COMPRESSION, UNCOMPRESSED) in _RAW_COMPRESSIONS:
            make = folder.octets.get(tiff.MAKE, b"").strip().upper()
            name = next((name for maker, name in _MAKERS if make.startswith(maker)), None)
            raise UnfaithfulError(f"camera raw ({name})" if name else "camera raw")


def _page(folder: Folder, is_first: bool) -> Page:
    samples = folder.one(tiff.SAMPLES_PER_PIXEL, 1)
    bits = set(folder.all(tiff.BITS_PER_SAMPLE, (1,))[:samples])
    formats = set(folder.all(tiff.SAMPLE_FORMAT, (1,)))
    compression = folder.one(tiff.COMPRESSION, UNCOMPRESSED)
    if compression in _COMPRESSIONS:
        raise UnfaithfulError(f"TIFF with {_COMPRESSIONS[compression]}")
    if not formats <= {1, 4}:
        kind = {2: "signed", 3: "floating-point"}.get(max(formats), "complex")
        raise UnfaithfulError(f"TIFF with {kind} samples")
    photometric = folder.one(tiff.PHOTOMETRIC, -1)
    if photometric in _OTHER_PHOTOMETRICS:
        raise UnfaithfulError(f"TIFF with {_OTHER_PHOTOMETRICS[photometric]}")
    if photometric not in OWN_SAMPLES:
        raise UnfaithfulError("TIFF that does not say what its samples mean")
    if len(bits) != 1:
        raise UnfaithfulError("TIFF whose samples differ in their numbers of bits")
    beyond = samples - OWN_SAMPLES[photometric]
    extra = folder.all(tiff.EXTRA_SAMPLES)[: max(beyond, 0)]
    if photometric == RGB and beyond == 1 and not extra:
        extra = (ALPHA,)
    page = Page(
        folder,
        is_first,
        False,
        photometric,
        bits.pop(),
        samples,
        folder.one(tiff.PLANAR, 1),
        compression,
        folder.one(tiff.PREDICTOR, 1),
        extra,
    )
    _refuse_unknown(page, beyond)
    if _pillow_reads(page, formats):
        return page
    if not _planes_read(page):
        raise UnfaithfulError(_described(page))
    return Page(**{**page.__dict__, "in_planes": True})


def _refuse_unknown(page: Page, beyond: int) -> None:
    if page.photometric == CMYK and set(page.extra[:1]) & {PREMULTIPLIED, ALPHA}:
        raise UnfaithfulError("TIFF with CMYK and alpha")
    if not 0 <= beyond == len(page.extra) or page.samples > _MAX_SAMPLES:
        raise UnfaithfulError(f"{_described(page)}, which are too few or of unknown meaning")
    if any(page.extra[1:]) or not set(page.extra[:1]) <= {UNSPECIFIED, PREMULTIPLIED, ALPHA}:
        raise UnfaithfulError("TIFF with several alpha planes, or some of unknown meaning")
    if page.compression in (_JPEG, _OLD_JPEG) and page.bits != 8:
        raise UnfaithfulError(f"TIFF with {page.bits}-bit JPEG inside")
    if page.bits in (32, 64):
        raise UnfaithfulError(f"TIFF with {page.bits}-bit samples")
    if page.predictor != 1 and (page.predictor != 2 or page.compression not in (5, 8, 32946)):
        raise UnfaithfulError(f"TIFF with predictor {page.predictor} where there is none")
    if page.predictor == 2 and page.bits not in (8, 16):
        raise UnfaithfulError(f"TIFF with a predictor of {page.bits}-bit samples")


def _pillow_reads(page: Page, formats: set[int]) -> bool:
    if (page.planar != 1 and page.samples > 1) or formats != {1} or page.samples > 6:
        return False
    if page.compression in (_JPEG, _OLD_JPEG):
        ours = {1: (BLACK_IS_ZERO,), 3: (RGB, YCBCR), 4: (CMYK,)}.get(page.samples, ())
        return page.photometric in ours and not page.extra
    if page.compression in _FAX:
        return page.bits == 1 and page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    if page.compression not in BYTEWISE or not _has_known_fill(page):
        return False
    extras, orders = _PILLOW_READS.get((page.photometric, page.bits), ((), ""))
    extra: object = page.extra
    if extra and tiff.EXTRA_SAMPLES not in page.folder.tags:
        extra = _MISSING
    return extra in extras and page.folder.order in orders


def _planes_read(page: Page) -> bool:
    if page.compression not in BYTEWISE or page.planar not in (1, 2) or not _has_known_fill(page):
        return False
    if page.bits == 12:
        return page.samples == 1 and page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    if page.bits != 8 and (page.bits != 16 or page.photometric in (PALETTE, YCBCR)):
        return False
    if page.photometric == YCBCR:
        plain = page.folder.all(tiff.YCBCR_SUBSAMPLING, (2, 2)) == (1, 1)
        own = {tiff.YCBCR_COEFFICIENTS, tiff.REFERENCE_BLACK_WHITE} & set(page.folder.octets)
        return plain and not own and not page.extra
    if page.photometric == WHITE_IS_ZERO and page.extra[:1] == (PREMULTIPLIED,):
        return False  # premultiplied before or after the inversion?
    return page.photometric != PALETTE or page.extra[:1] != (PREMULTIPLIED,)


def _has_known_fill(page: Page) -> bool:
    # Readers disagree about what it reverses in samples of several bytes.
    fill = page.folder.one(tiff.FILL_ORDER, 1)
    return fill == 1 or (fill == 2 and page.bits <= 8)


def _described(page: Page) -> str:
    planes = ", separate planes" if page.planar == 2 else ""
    return (
        f"TIFF with {page.samples} samples of {page.bits} bits, photometric interpretation "
        f"{page.photometric}, compression {page.compression}{planes}"
    )


def _check_chunks(page: Page, total: int) -> None:
    """Checks that there are as many strips or tiles as the picture needs, inside the file."""
    width, height = page.size
    if width < 1 or height < 1:
        raise TruncatedError("it does not say how large it is")
    if page.tile:
        tile_width, tile_height = page.tile
        if not (0 < tile_width <= _MAX_TILE_SIDE and 0 < tile_height <= _MAX_TILE_SIDE):
            raise TruncatedError("its tiles have a senseless size")
        needed = -(-width // tile_width) * -(-height // tile_height)
        offsets, lengths = tiff.TILE_OFFSETS, tiff.TILE_LENGTHS
    else:
        needed = -(-height // page.rows_per_strip)
        offsets, lengths = tiff.STRIP_OFFSETS, tiff.STRIP_LENGTHS
    needed *= page.samples if page.planar == 2 else 1
    tags = page.folder.tags
    if len(tags.get(offsets, ())) < needed:
        raise TruncatedError("some of its samples are missing")
    if (tags[offsets][:needed] < _HEADER_BYTES).any():
        raise TruncatedError("some of its samples are missing")
    number = min(len(tags[offsets]), len(tags.get(lengths, ())))
    starts, sizes = tags[offsets][:number], tags.get(lengths, tags[offsets])[:number]
    if page.compression == UNCOMPRESSED:
        # One length that is wrong is a known fault of writers, and not needed.
        if needed > 1 and number >= needed and (sizes[:needed] < _chunk_bytes(page)).any():
            raise TruncatedError("some of its samples are missing")
        return
    # Each alone first: 64-bit sums of what a hostile file holds could wrap around.
    if ((starts > total) | (sizes > total) | (starts + sizes > total)).any():
        raise TruncatedError("the file ends before its samples do")
    if number < needed:
        raise TruncatedError("it does not say how long its samples are")


def _chunk_bytes(page: Page) -> np.ndarray:
    """Bytes in each uncompressed strip or tile, uint64."""
    width, height = page.size
    samples = 1 if page.planar == 2 else page.samples
    if page.photometric == YCBCR:
        return np.zeros(1, np.uint64)  # subsampled: as Pillow finds it
    planes = page.samples if page.planar == 2 else 1
    if page.tile:
        return np.array([-(-page.tile[0] * samples * page.bits // 8) * page.tile[1]], np.uint64)
    rows = np.full(-(-height // page.rows_per_strip), page.rows_per_strip)
    rows[-1] = height - page.rows_per_strip * (len(rows) - 1)
    return np.tile(rows * -(-width * samples * page.bits // 8), planes).astype(np.uint64)
