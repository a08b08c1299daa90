"""`.tfh` files for Pillow: `import tfhific.pillow`, and `Image.open` and `Image.save` know them.

    from PIL import Image
    import tfhific.pillow

    image = Image.open("photo.tfh")             # size, mode and info; nothing is decoded yet
    image.convert("L").save("grey.tfh", quality=3.5)

Importing this module registers the format `TFH`, the ending `.tfh` and the type `image/x-tfh` with
Pillow, whose tables belong to the whole process; `register` does it again, with another `Codecs`.
Nothing heavy is imported before a picture is decoded or saved: docs/pillow.md.
"""

from __future__ import annotations

import functools
import io
import os
import sys
import threading
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from PIL import Image, ImageFile, ImageOps

import tfhific
from tfhific.bitstream import container
from tfhific.bitstream.front import read_front
from tfhific.errors import ArgumentError, PillowError, TfhificError
from tfhific.pictures.colour import UnfaithfulError, to_colours
from tfhific.pictures.exif import ORIENTATION, upright_exif
from tfhific.pictures.header import Header
from tfhific.pictures.images import Picture, to_pillow
from tfhific.pictures.plane import check_plane
from tfhific.runtimes.choice import AUTO, LIGHT

if TYPE_CHECKING:
    from tfhific.codec.base import Codec

FORMAT = "TFH"
EXTENSION = ".tfh"
MIME_TYPE = "image/x-tfh"


class Codecs:
    """Models that were loaded, kept: each once, whichever thread asks for it first.

    What starts soonest runs them, the runtime `light` of `tfhific.load`, unless told otherwise.
    Limits on pixels are Pillow's (`Image.MAX_IMAGE_PIXELS`), which has applied them when a picture
    is decoded.
    """

    def __init__(self, **options: Any) -> None:
        """Initializer; nothing is loaded.

        Args:
          **options: for each codec, see `tfhific.load`.
        """
        self._options = {"max_pixels": sys.maxsize, "runtime": LIGHT, **options}
        self._lock = threading.Lock()
        self._by_name: dict[tuple[str, str], Codec] = {}
        self._by_fingerprint: dict[bytes, Codec] = {}

    def named(self, model: str | os.PathLike[str] = "mini", effort: int | None = None) -> Codec:
        """The codec of a model, which from then on also opens files of that model.

        Args:
          model: see `tfhific.load`.
          effort: that it is to compress with, which may take another runtime; None for 1.

        Raises:
          ModelError: when there is no such model, or it is damaged.
        """
        from tfhific.codec.effort import DEFAULT

        name, runtime = os.fspath(model), self._options["runtime"]
        if runtime == LIGHT and effort not in (None, DEFAULT):
            runtime = AUTO
        with self._lock:
            if (name, runtime) not in self._by_name:
                codec = tfhific.load(name, **{**self._options, "runtime": runtime})
                before = self._by_fingerprint.setdefault(codec.fingerprint, codec)
                # Another decoder for the same files is another codec.
                same = (before.runtime, before.name) == (codec.runtime, codec.name)
                self._by_name[name, runtime] = before if same else codec
            return self._by_name[name, runtime]

    def of_file(self, data: bytes) -> Codec:
        """The codec of the model that made a file.

        Args:
          data: the whole file.

        Raises:
          BitstreamError: when the bytes are damaged, or of a model that is not here.
        """
        fingerprint = container.unpack(data, self._options["max_pixels"]).fingerprint
        with self._lock:
            if fingerprint not in self._by_fingerprint:
                self._by_fingerprint[fingerprint] = tfhific.load_for(data, **self._options)
            return self._by_fingerprint[fingerprint]

    def clear(self) -> None:
        """Forgets all models; their memory is freed once nobody uses them."""
        with self._lock:
            self._by_name.clear()
            self._by_fingerprint.clear()


class TfhImageFile(ImageFile.ImageFile):
    """A `.tfh` file as Pillow opens it, of mode RGB, or RGBA where it has an alpha plane.

    `info` has `icc_profile` and `exif` where the file has them, and `exif` is upright.
    """

    format = FORMAT
    format_description = "tfhific, learned image compression"

    def __init__(self, fp: Any, filename: str | bytes = "", *, codecs: Codecs) -> None:
        """Initializer, for `Image.open`.

        Args:
          fp: path, or a seekable binary file.
          filename: of a file.
          codecs: where models come from that decode.

        Raises:
          PillowError: when the file's front is damaged: an `OSError`.
        """
        self._codecs = codecs
        super().__init__(fp, filename)

    def _open(self) -> None:
        try:
            front = read_front(cast(BinaryIO, self.fp))
        except TfhificError as error:
            raise PillowError(str(error)) from None
        height, width = front.size
        self._size = (width, height)
        self._mode = "RGBA" if front.has_alpha else "RGB"
        if front.icc is not None:
            self.info["icc_profile"] = front.icc
        if front.exif is not None:
            self.info["exif"] = front.exif
        self._encoded = True
        cast(Any, self).tile = [("raw", (0, 0, width, height), 0, self._mode)]

    def load(self) -> Any:
        """Decodes the picture, when it is first asked for; see `PIL.Image.Image.load`.

        Raises:
          PillowError: when the file is damaged, or of a model that is not here: an `OSError`.
        """
        if self.tile and self._encoded:
            samples = self._decode(self._read())
            if getattr(self, "_exclusive_fp", False) and self.fp is not None:
                self.fp.close()
            self.fp = io.BytesIO(samples)
            self._encoded = False
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Keeps Pillow from mapping the file into memory: the samples are not in it."""

    def verify(self) -> None:
        """Checks the file's checksum and structure, without decoding it or loading its model.

        Raises:
          PillowError: when it is damaged: an `OSError`.
        """
        try:
            contents = container.unpack(self._read(), sys.maxsize)
            if contents.alpha is not None:
                check_plane(contents.alpha, contents.size)
        except TfhificError as error:
            raise PillowError(str(error)) from None
        super().verify()

    def _read(self) -> bytes:
        if self.fp is None:
            raise PillowError("The file has been closed: open it again.")
        self.fp.seek(0)
        return self.fp.read()

    def _decode(self, data: bytes) -> bytes:
        """Samples of the picture, row by row."""
        try:
            image = to_pillow(self._codecs.of_file(data).decompress_picture(data))
        except TfhificError as error:
            raise PillowError(str(error)) from None
        if image.size != self.size or image.mode != self.mode:
            raise PillowError("The file has changed since it was opened: open it again.")
        return image.tobytes()


def accepts(prefix: bytes) -> bool | str:
    """Whether a file's first bytes are of a format version that is read; else, or why not."""
    if not prefix.startswith(container.MAGIC):
        return False
    try:
        container.check_version(prefix)
    except TfhificError as error:
        return str(error)
    return True


def picture_of(image: Image.Image, *, icc: bytes | None, exif: bytes | None) -> Picture:
    """A Pillow image as the codec takes pictures: upright, 8 bits, RGB, alpha beside it.

    Args:
      image: of any mode that 8-bit RGB can show; CMYK and grey through their profile.
      icc: its ICC profile.
      exif: its EXIF block. An orientation that it states is applied to the pixels.

    Raises:
      PillowError: for another mode.
    """
    image = image.copy()
    turn = Image.Exif()
    upright = None
    if exif:
        upright = upright_exif(exif)
        try:
            turn.load(exif)
        except Exception:  # Pillow's parser raises whatever a damaged block makes it trip over
            upright = None
    if upright is not None and turn.get(ORIENTATION, 1) != 1:
        image.info.pop("exif", None)
        image.getexif()[ORIENTATION] = turn[ORIENTATION]
        image = ImageOps.exif_transpose(image)
    try:
        colours = to_colours(image, Header(format=None), icc)
    except UnfaithfulError as error:
        raise PillowError(
            f"cannot write mode {image.mode} as {FORMAT}: {error}; convert the image to RGB or "
            "RGBA first"
        ) from None
    return Picture(colours.pixels, colours.alpha, colours.icc, upright)


def save(image: Image.Image, stream: IO[bytes], filename: str | bytes, *, codecs: Codecs) -> None:
    """Pillow's writer of the format: what `Image.save` was given is in `image.encoderinfo`.

    Args:
      image: the picture.
      stream: where the file goes, by one call of `write`, once all of it is there.
      filename: not used.
      codecs: where models come from.

    Raises:
      ArgumentError: for a quality or a bound that makes no sense: a `ValueError`.
      PillowError: for a picture that can't be written, an unknown model, or a bound that is too
        low: an `OSError`.
    """
    given = getattr(image, "encoderinfo", {})
    quality, bounds = given.get("quality"), {}
    for bound, name in (("max_bytes", "target_bytes"), ("max_bpp", "target_bpp")):
        if given.get(name) is not None:
            bounds[bound] = given[name]
    if len(bounds) + (quality is not None) > 1:
        raise ArgumentError("Expected one of quality, target_bytes and target_bpp.")
    exif = given.get("exif", image.info.get("exif"))
    if isinstance(exif, Image.Exif):
        exif = exif.tobytes()
    icc = given.get("icc_profile", image.info.get("icc_profile"))
    try:
        picture = picture_of(image, icc=icc or None, exif=exif or None)
        codec = codecs.named(given.get("model") or "mini", given.get("effort"))
        side = {name: given[name] for name in (*codec.needs, "effort", "lpips") if name in given}
        if bounds:
            data = codec.compress_to(picture, **bounds, **side)
        else:
            data = codec.compress_picture(picture, quality, **side)
    except (ArgumentError, PillowError):
        raise
    except TfhificError as error:
        raise PillowError(str(error)) from None
    stream.write(data)


def register(codecs: Codecs) -> None:
    """Makes Pillow know the format, for the whole process.

    Args:
      codecs: where models come from, from now on.
    """
    # An image that is open already goes on with its own models.
    Image.register_open(FORMAT, functools.partial(TfhImageFile, codecs=codecs), accepts)
    Image.register_save(FORMAT, functools.partial(save, codecs=codecs))
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME_TYPE)


CODECS = Codecs()
"""The models of what is opened and saved, unless another `Codecs` is registered."""

register(CODECS)
