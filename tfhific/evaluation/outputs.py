"""Writes everything that an evaluation leaves beside `results.csv`."""

from __future__ import annotations

import os

from tfhific.errors import OutputError, TfhificError
from tfhific.evaluation import results, summary
from tfhific.evaluation.plots import draw, drawable
from tfhific.evaluation.record import Record
from tfhific.evaluation.reference import SHOWN
from tfhific.evaluation.report import to_html
from tfhific.evaluation.report_options import ReportOptions
from tfhific.files.atomic import write_atomically


def write_outputs(
    evaluation: Record, folder: str, with_report: bool = True, **report_options
) -> list[str]:
    """Writes `results.csv` (where another folder than the evaluation's is named), `summary.md`,
    `plots/METRIC.png` and `.svg`, and `report.html`.

    Args:
      evaluation: what was measured.
      folder: made if it is not there.
      with_report: whether `report.html` is made.
      **report_options: fields of `ReportOptions`.

    Returns:
      Names of the files, below the folder.

    Raises:
      TfhificError: nothing was measured.
      OutputError: a folder that cannot be written.
    """
    if not evaluation.pictures:
        raise TfhificError(
            "No picture has a result of every codec: no curves. See the failures for the reasons."
        )
    options = ReportOptions(**report_options)
    try:
        os.makedirs(os.path.join(folder, "plots"), exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder!r}: {error.strerror}.") from None
    files: dict[str, bytes] = {}
    if evaluation.config.out is None or not _same(folder, evaluation.config.out):
        files["results.csv"] = results.to_csv(evaluation.rows)
    files["summary.md"] = summary.to_markdown(evaluation).encode()
    curves = evaluation.curves()
    published = [curve for curve in summary.references(evaluation) if curve.codec in SHOWN]
    for metric in drawable(curves):
        for kind, data in draw(metric, curves, published, evaluation.name).items():
            files[f"plots/{metric.name}.{kind}"] = data
    if with_report:
        files["report.html"] = to_html(evaluation, evaluation.config.out, options).encode()
    for name, data in files.items():
        write_atomically(os.path.join(folder, name), data, overwrite=True)
    return list(files)


def _same(a: str, b: str) -> bool:
    return os.path.realpath(a) == os.path.realpath(b)
