"""Which kind of file this is, by its first bytes: those that are read, and names for others."""

from __future__ import annotations

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
START_BYTES = 512
"""How many bytes of a file `kind_of` wants."""

_READ = (
    (0, PNG_SIGNATURE, "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (8, b"WEBP", "WEBP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
)
_NAMED = (
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n", "JPEG XL"),
    (4, b"jP  \r\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"8BPS", "Photoshop document"),
    (0, b"gimp xcf", "GIMP document"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"qoif", "QOI"),
    (0, b"BPG\xfb", "BPG"),
    (0, b"DDS ", "DDS"),
    (0, b"\x00\x00\x01\x00", "Windows icon"),
    (0, b"\x00\x00\x02\x00", "Windows cursor"),
    (0, b"icns", "Apple icon"),
    (0, b"\x8aMNG\r\n", "MNG"),
    (0, b"\x8bJNG\r\n", "JNG"),
    (0, b"SIMPLE  =", "FITS"),
    (128, b"DICM", "DICOM"),
    (0, b"\xd7\xcd\xc6\x9a", "Windows metafile"),
    (0, b"FUJIFILMCCD-RAW", "camera raw (Fujifilm RAF)"),
    (0, b"IIU\x00", "camera raw (Panasonic RW2)"),
    (0, b"IIRO", "camera raw (Olympus ORF)"),
    (0, b"IIRS", "camera raw (Olympus ORF)"),
    (0, b"MMOR", "camera raw (Olympus ORF)"),
    (0, b"FOVb", "camera raw (Sigma X3F)"),
    (0, b"\x00MRM", "camera raw (Minolta MRW)"),
    *((0, b"P%d" % k + space, "PNM") for k in range(1, 8) for space in (b"\n", b" ", b"\r", b"\t")),
)
_AVIF_BRANDS = (b"avif", b"avis")
_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"hevm": "HEIC",
    b"hevs": "HEIC",
    b"crx ": "camera raw (Canon CR3)",
    b"j2ki": "HEIF with JPEG 2000 inside",
    b"avci": "HEIF with H.264 inside",
    b"jpeg": "HEIF with JPEG inside",
    b"vvic": "HEIF with H.266 inside",
    b"mif1": "HEIF of another kind than AVIF",
    b"msf1": "HEIF of another kind than AVIF",
    b"qt  ": "QuickTime video",
    b"isom": "MP4 video",
    b"mp41": "MP4 video",
    b"mp42": "MP4 video",
}


def kind_of(start: bytes) -> tuple[str | None, str | None]:
    """Tells a file's kind.

    Args:
      start: its first `START_BYTES` bytes, fewer if it has no more.

    Returns:
      Pillow's name of the format if it is one we read, else None; and a name for people if it is
      one that we know and do not read, else None.
    """
    if start[4:8] == b"ftyp":
        return _kind_of_brands(start)
    for at, magic, kind in _READ:
        if start.startswith(magic, at):
            return kind, None
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return None, "SVG"
    if text.startswith((b"<!doctype html", b"<html")):
        return None, "a web page, not a picture"
    return None, next((name for at, magic, name in _NAMED if start.startswith(magic, at)), None)


def _kind_of_brands(start: bytes) -> tuple[str | None, str | None]:
    """Of an ISO base media file: the major brand, its version, and compatible ones behind it."""
    length = int.from_bytes(start[:4], "big")
    brands = [start[8:12], *(start[k : k + 4] for k in range(16, min(length, len(start)) - 3, 4))]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "AVIF", None
    # A container's own brand says less than what it is said to be compatible with.
    names = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    plain = _BRANDS[b"mif1"]
    return None, next((name for name in names if name != plain), plain if plain in names else None)
