"""The evaluation itself: any codecs over any pictures, rows, curves and differences."""

from __future__ import annotations

import dataclasses
import functools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfhific.errors import OutputError, TfhificError
from tfhific.evaluation import results
from tfhific.evaluation.bench import Context, Failure, Image, Task, features_path
from tfhific.evaluation.codecs import (
    CLASSICAL,
    CodecSpec,
    PictureCodec,
    file_digest,
    open_codec,
    parse_codecs,
)
from tfhific.evaluation.comparison import ComparedCurves, compare_curves
from tfhific.evaluation.curves import Curve, complete_pictures, make_curves
from tfhific.evaluation.features import feature_spec
from tfhific.evaluation.matching import parse_targets
from tfhific.evaluation.pictures import list_pictures, set_name
from tfhific.evaluation.pool import run_tasks
from tfhific.evaluation.results import Row
from tfhific.evaluation.set_distance import SetDistance, set_distances


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
class Evaluation:
    """What was measured.

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

    def save(self, out: str | None = None, with_report: bool = True, **report_options) -> list[str]:
        """Writes `summary.md`, plots and `report.html`.

        Args:
          out: folder; by default the configuration's.
          with_report: whether `report.html` is made.
          **report_options: fields of `report.ReportOptions`.

        Returns:
          The files' names below it.

        Raises:
          OutputError: no folder named, or one that cannot be written.
        """
        from tfhific.evaluation.outputs import write_outputs

        folder = out or self.config.out
        if folder is None:
            raise OutputError("Expected a folder to write the results to: save(out=...).")
        return write_outputs(self, folder, with_report, **report_options)


def evaluate(
    config: EvaluationConfig | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    **settings,
) -> Evaluation:
    """Compares codecs on pictures.

    Args:
      config: what to do; or its fields as keyword arguments.
      progress: called with the numbers of rows that are there and that are asked for.
      **settings: fields of `EvaluationConfig`.

    Raises:
      TfhificError: a codec, network or set that is not there, or results of another kind at
        `out`. A picture or row that fails does not raise: see `Evaluation.failures`.
    """
    if config is None:
        config = EvaluationConfig(**settings)
    elif settings:
        config = dataclasses.replace(config, **settings)
    if config.jobs < 1:
        raise TfhificError(f"jobs: expected at least 1. Received: {config.jobs}.")
    specs = parse_codecs(config.codecs, config.ladders)
    anchor = _choose_anchor(specs, config.anchor)
    images, failures = list_pictures(config.data, config.limit, config.out)
    with tempfile.TemporaryDirectory() as scratch:
        context = _context(config, config.out or scratch)
        return _evaluate(config, context, specs, anchor, images, failures, progress)


def _evaluate(config, context, specs, anchor, images, failures, progress) -> Evaluation:
    table = os.path.join(context.out, "results.csv")
    found = _found_rows(config, table)
    wanted = _tasks(config, specs, images)
    kept = {key: found[key] for key, _ in wanted if key in found and _enough(found[key], context)}
    tasks = [task for key, task in wanted if key not in kept]
    # Not before all that was asked for is known to be there.
    try:
        os.makedirs(context.out, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {context.out!r}: {error.strerror}.") from None
    if config.out:
        results.write_rows(table, found.values())
    done = len(kept)
    if progress:
        progress(done, len(wanted))
    for outcome in run_tasks(context, tasks, config.jobs):
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            found[outcome.key] = kept[outcome.key] = outcome
            if config.out:
                results.append_row(table, outcome)
        done += 1
        if progress:
            progress(done, len(wanted))
    if config.out:
        results.write_rows(table, found.values())
    rows = tuple(kept[key] for key, _ in wanted if key in kept)
    evaluation = Evaluation(
        config, specs, tuple(images), rows, tuple(failures), anchor, (), len(tasks)
    )
    if context.features is None:
        return evaluation
    return dataclasses.replace(evaluation, distances=set_distances(evaluation.curves(), context))


def _context(config: EvaluationConfig, out: str) -> Context:
    from tfhific.losses.lpips_weights import read_weights

    label = ""
    if config.lpips is not None:
        read_weights(config.lpips)
        name = os.path.splitext(os.path.basename(config.lpips))[0]
        label = f"{name}-{file_digest(config.lpips)[:8]}"
    spec = None
    if config.features is not None:
        spec = feature_spec(config.features, config.features_range, config.features_size)
    return Context(
        out=out,
        lpips=config.lpips,
        lpips_label=label,
        features=spec,
        keep_files=config.keep_files and config.out is not None,
        versions=results.describe_versions(),
        command=config.command,
        machine=results.describe_machine(config.jobs),
    )


def _found_rows(config: EvaluationConfig, table: str) -> dict[tuple[str, ...], Row]:
    if not config.out or config.overwrite or not os.path.exists(table):
        return {}
    return {row.key: row for row in results.read_rows(table)}


def _enough(row: Row, context: Context) -> bool:
    """Whether a row that is there has all that is asked for now."""
    if context.lpips_label and row.lpips_weights != context.lpips_label:
        return False
    if context.features is None:
        return True
    keys = (row.key, (row.image, row.image_digest))
    return all(os.path.exists(features_path(context, key)) for key in keys)


def _tasks(config, specs, images) -> list[tuple[tuple[str, ...], Task]]:
    """All rows asked for, with their keys: codec by codec, picture by picture."""
    targets = parse_targets(config.match) if config.match else ()
    largest = max(images, key=lambda image: image.width * image.height)
    wanted: list[tuple[tuple[str, ...], Task]] = []
    for spec in specs:
        codec = open_codec(spec)
        ladder = tuple(codec.ladder)
        points: list[dict[str, Any]]
        if targets:
            points = [{"target": target} for target in targets]
        else:
            points = [{"setting": setting} for setting in ladder]
        for image in images:
            for number, point in enumerate(points):
                probe = config.memory and spec.given is None and image is largest
                task = Task(image, spec, probe=probe and number == len(points) // 2, **point)
                name = task.point if task.target else f"setting:{task.point}"
                key = (image.name, image.digest, spec.label, codec.version, name)
                wanted.append((key, task))
        del codec
    return wanted


def _choose_anchor(specs: Sequence[CodecSpec], wanted: str | None) -> str:
    labels = [spec.label for spec in specs]
    if wanted is None:
        jpeg = [spec.label for spec in specs if spec.members[:1] == ("jpeg",)]
        others = [spec.label for spec in specs if spec.members and spec.members[0] in CLASSICAL]
        return (jpeg or others or labels)[0]
    if wanted not in labels:
        raise TfhificError(
            f"Expected an anchor among the codecs: {', '.join(labels)}. Received: {wanted!r}."
        )
    return wanted
