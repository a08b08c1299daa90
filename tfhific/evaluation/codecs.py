"""The codecs that can be compared: classical ones, published models, and models of several rates.

A codec here is anything with the attributes and methods of `PictureCodec`. `parse_codecs` reads
what a user types, `open_codec` loads it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Union, runtime_checkable

import numpy as np

from tfhific.codec import effort as efforts
from tfhific.errors import TfhificError
from tfhific.evaluation import classical
from tfhific.interface import lacking

Setting = Union[int, float, str]

CLASSICAL = {
    "jpeg": "JPEG",
    "jpeg-plain": "JPEG",
    "webp": "WEBP",
    "jpeg2000": "JPEG2000",
    "avif": "AVIF",
}
"""Pillow's formats by codec. `jpeg-plain` has libjpeg's own Huffman tables instead of tables made
for the picture, as published JPEG curves have."""

# Eight points from about .15 to 2 bits per pixel on photographs.
_LADDERS = {
    "jpeg": (5, 10, 18, 30, 45, 60, 75, 86),
    "jpeg-plain": (5, 10, 18, 30, 45, 60, 75, 86),
    "webp": (1, 8, 20, 35, 50, 65, 78, 88),
    "jpeg2000": (24, 29, 34, 39, 44, 49, 54, 59),
    "avif": (14, 22, 30, 38, 46, 54, 62, 70),
}
_EXTENSIONS = {"JPEG": ".jpg", "WEBP": ".webp", "JPEG2000": ".jp2", "AVIF": ".avif"}
_FEATURES = {"JPEG": "libjpeg_turbo", "WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}
_MODEL_LADDER = tuple(float(quality) for quality in range(1, 9))
# Qualities that a search tries: a step changes a file by about one percent.
_MODEL_STEPS = 32


class PictureCodec(Protocol):
    """What an evaluation asks of a codec; it may be a `RateEstimator` too.

    Attributes:
      name: what tables and curves call it.
      version: changes when its files or pictures may change; results are found again by it.
      ladder: the settings of its curve.
      settings: all that a search may try, from the smallest file to the largest.
      extension: of its files, with the dot.
    """

    name: str
    version: str
    ladder: Sequence[Setting]
    settings: Sequence[Setting]
    extension: str

    def encode(self, pixels: np.ndarray, setting: Setting) -> bytes:
        """The whole file of uint8 [H, W, 3]."""

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [H, W, 3] of a file."""


@runtime_checkable
class RateEstimator(Protocol):
    """A codec that says what a file would take without writing it."""

    def estimate_bpp(self, pixels: np.ndarray, setting: Setting) -> float:
        """Bits per pixel by the codec's own model of probabilities; NaN without one."""


@dataclasses.dataclass(frozen=True)
class CodecSpec:
    """A codec that a user asked for.

    Attributes:
      label: its name in tables.
      members: a classical codec's name, or names or folders of models; several make one curve.
      ladder: settings instead of the codec's own, or None.
      given: a codec that is an object already, instead of members.
    """

    label: str
    members: tuple[str, ...]
    ladder: tuple[Setting, ...] | None = None
    given: PictureCodec | None = None


class Member(NamedTuple):
    """A model that a user named, and how hard its encoder is to try.

    Attributes:
      model: its name or folder; or a classical codec's name.
      effort: 1 to 9, or None where none was named.
      lpips: file of LPIPS weights, or None.
    """

    model: str
    effort: int | None = None
    lpips: str | None = None

    @classmethod
    def parse(cls, text: str) -> Member:
        """Reads `MODEL`, `MODEL@EFFORT` or `MODEL@EFFORT@LPIPS`."""
        found = re.fullmatch(r"(.+?)@([1-9])(?:@(.+))?", text)
        return cls(found[1], int(found[2]), found[3]) if found else cls(text)

    @property
    def label(self) -> str:
        """What tables call it where the user does not say."""
        name = os.path.basename(os.path.normpath(self.model))
        return name if self.effort is None else f"{name}@{self.effort}"

    @property
    def options(self) -> dict[str, Any]:
        """Of the codec's `compress`."""
        named = {"effort": self.effort, "lpips": self.lpips}
        return {name: value for name, value in named.items() if value is not None}


def parse_codecs(
    texts: Sequence[str | PictureCodec], ladders: Mapping[str, Sequence[float]] | None = None
) -> tuple[CodecSpec, ...]:
    """Reads codecs as users write them.

    Args:
      texts: each `NAME`, `FOLDER`, `LABEL=NAME` or `LABEL=NAME+NAME+...`, where a name is a
        classical codec's or a model's. Several models joined give one curve, a point each. After a
        model's name may stand `@EFFORT`, and `@LPIPS`, a file of weights, after that: see
        `tfhific.codec.base.Codec.encode`. Or a codec of the caller's own, a `PictureCodec`.
      ladders: settings by label.

    Raises:
      TfhificError: nothing, two of one label, joined classical codecs, or a ladder of nobody.
    """
    specs = [_parse(text) for text in texts]
    labels = [spec.label for spec in specs]
    if not specs:
        raise TfhificError("Expected at least one codec, such as mini or jpeg. Received none.")
    for label in labels:
        if labels.count(label) > 1:
            raise TfhificError(
                f"Expected every codec once. Received {label!r} twice: give one another label, "
                f"as in other={label}."
            )
    ladders = dict(ladders or {})
    for label in ladders:
        if label not in labels:
            raise TfhificError(
                f"A ladder is given for {label!r}, which is not among the codecs: "
                f"{', '.join(labels)}."
            )
    return tuple(_with_ladder(spec, ladders.get(spec.label)) for spec in specs)


def _with_ladder(spec: CodecSpec, ladder: Sequence[float] | None) -> CodecSpec:
    """The spec with checked settings: bad ones are refused before anything is encoded."""
    if ladder is None:
        return spec
    if spec.given is not None:
        return dataclasses.replace(spec, ladder=tuple(ladder))
    name = spec.members[0]
    if len(spec.members) > 1:
        raise TfhificError(f"{spec.label}: the points of joined models are the models; no ladder.")
    low, high = (1, 100) if name in CLASSICAL else (1, 8)
    whole = name in CLASSICAL
    values = sorted(set(ladder))
    wrong = [v for v in values if not low <= v <= high or (whole and v != int(v))]
    if wrong or not values:
        raise TfhificError(
            f"{spec.label}: expected {'whole ' if whole else ''}settings from {low} to {high}. "
            f"Received: {', '.join(f'{v:g}' for v in ladder) or 'none'}."
        )
    return dataclasses.replace(spec, ladder=tuple(int(v) if whole else float(v) for v in values))


def _parse(text: str | PictureCodec) -> CodecSpec:
    if not isinstance(text, str):
        missing = lacking(text, PictureCodec)
        if missing:
            raise TfhificError(
                f"Expected a codec's name or a PictureCodec. Received: a {type(text).__name__}, "
                f"which lacks {', '.join(missing)}."
            )
        return CodecSpec(text.name, (), given=text)
    label, equals, rest = text.strip().partition("=")
    if not equals:
        label, rest = "", label
    members = tuple(part.strip() for part in rest.split("+"))
    if not all(members) or (equals and not label.strip()):
        raise TfhificError(
            f"Expected a codec as NAME, FOLDER, LABEL=NAME or LABEL=NAME+NAME. Received: {text!r}."
        )
    if len(members) > 1:
        if not equals:
            raise TfhificError(f"Joined codecs need a label, as in all={rest}. Received: {text!r}.")
        if set(members) & set(CLASSICAL):
            raise TfhificError(f"Only models can be joined to one curve. Received: {text!r}.")
        if len(set(members)) < len(members):
            raise TfhificError(f"A model is joined to itself: {text!r}.")
    return CodecSpec(label.strip() or Member.parse(members[0]).label, members)


def format_setting(setting: Setting) -> str:
    """A setting as tables show it."""
    return setting if isinstance(setting, str) else f"{setting:g}"


def missing_classical() -> list[str]:
    """Names of the classical codecs that this build of Pillow lacks."""
    there = classical.available()
    return [name for name, kind in CLASSICAL.items() if kind not in there]


def open_codec(spec: CodecSpec) -> PictureCodec:
    """Loads a codec.

    Raises:
      ModelError: a model that is missing or damaged.
      TfhificError: a classical codec that this Pillow lacks.
    """
    if spec.given is not None:
        codec: PictureCodec = spec.given
    elif spec.members[0] in CLASSICAL:
        codec = ClassicalCodec(spec.members[0], spec.label)
    elif len(spec.members) == 1:
        codec = ModelCodec(spec.members[0], spec.label)
    else:
        codec = JoinedCodec(spec.label, spec.members)
    if spec.ladder is not None and len(codec.settings) > 1:
        codec.ladder = spec.ladder
    return codec


class ClassicalCodec:
    """JPEG, WebP, JPEG 2000 or AVIF by Pillow; a `PictureCodec`."""

    def __init__(self, name: str, label: str | None = None) -> None:
        from PIL import __version__, features

        encode: Any = classical.available().get(CLASSICAL[name])
        if encode is None:
            raise TfhificError(
                f"This build of Pillow ({__version__}) writes no {name}. Leave it out of the "
                "codecs, or install a Pillow that has it."
            )
        if name == "jpeg-plain":
            encode = functools.partial(encode, optimize=False)
        self._encode = encode
        library = features.version(_FEATURES[CLASSICAL[name]])
        self.name, self.extension = label or name, _EXTENSIONS[CLASSICAL[name]]
        self.version = f"{name} {library} in Pillow {__version__}"
        self.ladder: Sequence[Setting] = _LADDERS[name]
        self.settings: Sequence[Setting] = classical.SETTINGS

    def encode(self, pixels: np.ndarray, setting: Setting) -> bytes:
        return self._encode(pixels, int(setting))

    def decode(self, data: bytes) -> np.ndarray:
        return classical.decode(data)

    def estimate_bpp(self, pixels: np.ndarray, setting: Setting) -> float:
        return math.nan


class ModelCodec:
    """A published model; a `PictureCodec`. One of a single rate has one setting, `fixed`."""

    extension = ".tfh"

    def __init__(self, text: str, label: str | None = None) -> None:
        import tfhific

        member = Member.parse(text)
        self._codec = tfhific.load(member.model)
        self._options = member.options
        self.name = label or (self._codec.name if member.effort is None else member.label)
        self.version = _model_version(member.model, self._codec)
        self._searched = member.effort not in (None, efforts.DEFAULT)
        if self._searched:
            self._codec.harder()
        if member.effort is not None:
            efforts.check_perception(member.effort, member.lpips)
            self.version += f"@{member.effort}"
        if member.lpips is not None:
            self.version += f"@{file_digest(member.lpips)}"
        self.fixed_rate = self._codec.single_rate
        if self.fixed_rate:
            self.ladder: Sequence[Setting] = ("fixed",)
            self.settings: Sequence[Setting] = ("fixed",)
        else:
            self.ladder = _MODEL_LADDER
            steps = range(7 * _MODEL_STEPS + 1)
            self.settings = tuple(1.0 + step / _MODEL_STEPS for step in steps)

    def encode(self, pixels: np.ndarray, setting: Setting) -> bytes:
        quality = None if self.fixed_rate else float(setting)
        return self._codec.compress(pixels, quality, **self._options)

    def decode(self, data: bytes) -> np.ndarray:
        return self._codec.decompress(data)

    def estimate_bpp(self, pixels: np.ndarray, setting: Setting) -> float:
        if self._searched:
            return math.nan  # estimates are of the symbols that effort 1 writes
        return self._codec.estimate_bpp(pixels, None if self.fixed_rate else float(setting))


class JoinedCodec:
    """Models of one family, each a point of one curve; a `PictureCodec`.

    A setting is a model's name. All of them stay loaded.
    """

    extension = ".tfh"

    def __init__(self, label: str, models: Sequence[str]) -> None:
        names = [Member.parse(model).label for model in models]
        self._models = {name: ModelCodec(model, name) for name, model in zip(names, models)}
        self.name = label
        self.version = "+".join(model.version for model in self._models.values())
        self.ladder: Sequence[Setting] = tuple(self._models)
        self.settings: Sequence[Setting] = tuple(self._models)
        self._last: ModelCodec | None = None

    def encode(self, pixels: np.ndarray, setting: Setting) -> bytes:
        self._last = self._models[str(setting)]
        return self._last.encode(pixels, 5.0)

    def decode(self, data: bytes) -> np.ndarray:
        from tfhific.errors import BitstreamError

        # Most often it is the model that wrote last; its fingerprint decides.
        models = [m for m in self._models.values() if m is not self._last]
        for model in ([self._last] if self._last else []) + models:
            try:
                return model.decode(data)
            except BitstreamError as error:
                refused = error
        raise refused

    def estimate_bpp(self, pixels: np.ndarray, setting: Setting) -> float:
        return self._models[str(setting)].estimate_bpp(pixels, 5.0)


def _model_version(model: str, codec) -> str:
    """The fingerprint, and digests of the model's files: the synthesis is not in the former."""
    from tfhific import zoo
    from tfhific.published.store import model_files

    files = model_files(zoo.find_by_name(model))
    return "-".join([codec.fingerprint.hex(), *(file_digest(path)[:8] for path in files)])


def file_digest(path: str | os.PathLike) -> str:
    """The first 16 hexadecimal digits of a file's SHA-256.

    Raises:
      TfhificError: a file that cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise TfhificError(f"Cannot read {os.fspath(path)!r}: {error.strerror}.") from None
    return digest.hexdigest()[:16]
