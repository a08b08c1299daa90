"""The evaluation itself: any codecs over any pictures, rows, curves and differences."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from tfhific.errors import OutputError, TfhificError
from tfhific.evaluation import results
from tfhific.evaluation.bench import Context, Failure, Task, features_path
from tfhific.evaluation.codecs import (
    CLASSICAL,
    CodecSpec,
    file_digest,
    open_codec,
    parse_codecs,
)
from tfhific.evaluation.features import feature_spec
from tfhific.evaluation.matching import parse_targets
from tfhific.evaluation.outputs import write_outputs
from tfhific.evaluation.pictures import list_pictures
from tfhific.evaluation.pool import run_tasks
from tfhific.evaluation.record import EvaluationConfig, Record
from tfhific.evaluation.results import Row
from tfhific.evaluation.set_distance import set_distances


@dataclasses.dataclass(frozen=True)
class Evaluation(Record):
    """What was measured, and how to write it down."""

    def save(self, out: str | None = None, with_report: bool = True, **report_options) -> list[str]:
        """Writes `summary.md`, plots and `report.html`.

        Args:
          out: folder; by default the configuration's.
          with_report: whether `report.html` is made.
          **report_options: fields of `ReportOptions`.

        Returns:
          The files' names below it.

        Raises:
          OutputError: no folder named, or one that cannot be written.
        """
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
