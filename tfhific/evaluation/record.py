"""What an evaluation was asked for and what it measured."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from tfhific.errors import TfhificError
from tfhific.evaluation.bench import Failure, Image
from tfhific.evaluation.codecs import CodecSpec, PictureCodec
from tfhific.evaluation.comparison import ComparedCurves, compare_curves
from tfhific.evaluation.curves import Curve, complete_pictures, make_curves
from tfhific.evaluation.pictures import set_name
from tfhific.evaluation.results import Row
from tfhific.evaluation.set_distance import SetDistance


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What to compare, on what, and how.

    Attributes:
      data: a folder of pictures, searched recursively, or a glob.
      codecs: as `codecs.parse_codecs` takes them.
      out: folder of the results; None keeps none. What is there already is not measured again.
      match: `bpp:.1,.2` or `psnr:30` instead of ladders.
      ladders: settings by codec label.
      anchor: label of the codec that the others are compared with; by default jpeg, or the first.
      lpips: npz file of LPIPS weights, or None for no LPIPS.
      features: a network for Frechet distance and KID, or None.
      features_range: of the pixels that it takes.
      features_size: side of the pictures that it takes.
      limit: only the first so many pictures.
      jobs: rows measured at once.
      memory: whether each codec's peak memory is measured, in a process of its own.
      keep_files: whether the codecs' files are kept in `out`.
      overwrite: measure everything again.
      command: to note in the rows.
    """

    data: str
    codecs: Sequence[str | PictureCodec]
    out: str | None = None
    match: str | None = None
    ladders: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    anchor: str | None = None
    lpips: str | None = None
    features: str | None = None
    features_range: str = "-1,1"
    features_size: int | None = None
    limit: int | None = None
    jobs: int = 1
    memory: bool = True
    keep_files: bool = True
    overwrite: bool = False
    command: str = "tfhific.evaluation.evaluate"


@dataclasses.dataclass(frozen=True)
class Record:
    """What was measured, and what follows from it.

    Attributes:
      config: what was asked for.
      specs: the codecs.
      images: the pictures.
      rows: one a picture, codec and point.
      failures: what could not be measured; empty when all went well.
      anchor: label of the codec that others are compared with.
      distances: of sets, where a feature network was named.
      measured: how many of the rows were measured now, not found.
    """

    config: EvaluationConfig
    specs: tuple[CodecSpec, ...]
    images: tuple[Image, ...]
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    anchor: str
    distances: tuple[SetDistance, ...] = ()
    measured: int = 0

    @property
    def name(self) -> str:
        """The set's."""
        return set_name(self.config.data)

    @property
    def labels(self) -> list[str]:
        return [spec.label for spec in self.specs]

    @property
    def pictures(self) -> list[tuple[str, str]]:
        """Name and digest of the pictures that means are over."""
        return sorted(complete_pictures(self.rows))

    def curves(self) -> list[Curve]:
        """A curve a codec, by the order of the codecs."""
        return list(self._curves)

    def compare(self, anchor: str | None = None) -> list[ComparedCurves]:
        """Bjontegaard differences of all curves against one.

        Args:
          anchor: label; by default the configuration's.

        Raises:
          TfhificError: no such codec.
        """
        anchor = anchor or self.anchor
        if anchor in self._compared:
            return list(self._compared[anchor])
        curves = {curve.codec: curve for curve in self.curves()}
        if anchor not in curves:
            raise TfhificError(
                f"Expected an anchor among the codecs that have results: {', '.join(curves)}. "
                f"Received: {anchor!r}."
            )
        others = [curve for label, curve in curves.items() if label != anchor]
        self._compared[anchor] = tuple(compare_curves(curves[anchor], others))
        return list(self._compared[anchor])

    @functools.cached_property
    def _curves(self) -> tuple[Curve, ...]:
        return tuple(make_curves(self.rows, self.labels))

    @functools.cached_property
    def _compared(self) -> dict[str, tuple[ComparedCurves, ...]]:
        """Differences by anchor: their bootstrap takes seconds."""
        return {}
