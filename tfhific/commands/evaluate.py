"""Compares codecs on pictures: evaluate.py --data=DIR [--codecs=mini,jpeg,webp,avif] [--out=DIR].

Real files of every picture by every codec, measured. In --out: results.csv, summary.md, plots, and
report.html to look at. A stopped evaluation continues where it was when the command is run again.
A codec is jpeg, jpeg-plain, webp, jpeg2000, avif, a model's name or folder, or
LABEL=MODEL+MODEL+... for models that make one curve together. MODEL@EFFORT and
MODEL@EFFORT@LPIPS.npz are a model whose encoder tries harder.
"""

from __future__ import annotations

import sys

from absl import flags

from tfhific.commands import common, extras, launcher, paths

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("data", None, "Folder of images (searched recursively) or a glob.")
    paths.define_codecs("codecs", None, "What is compared; mini,jpeg by default.")
    paths.define_path("model", None, "Short for --codecs=MODEL,jpeg.")
    paths.define_path(
        "out", None, "Folder for the results; NAME.csv for the rows alone.", short_name="o"
    )
    flags.DEFINE_string("match", None, "bpp:.1,.2 or psnr:30: files of one size, or one PSNR.")
    flags.DEFINE_list("qualities", None, "Qualities of models, 1 to 8; by default 1,2,...,8.")
    flags.DEFINE_multi_string("ladder", [], "CODEC:SETTING,SETTING,...; may be given repeatedly.")
    flags.DEFINE_string("anchor", None, "Codec that the others are compared with; else jpeg.")
    paths.define_path("lpips", None, "LPIPS weights (npz); without them LPIPS is left out.")
    paths.define_path("features", None, "Network for Frechet distance and KID; see the docs.")
    flags.DEFINE_enum("features_range", "-1,1", ["-1,1", "0,1", "0,255"], "Of its pixels.")
    flags.DEFINE_integer("features_size", None, "Side of the pictures it takes.", lower_bound=8)
    flags.DEFINE_integer("max_images", None, "Only the first so many images.", lower_bound=1)
    flags.DEFINE_integer("jobs", 1, "Files measured at once.", lower_bound=1)
    flags.DEFINE_bool("memory", True, "Measure each codec's peak memory in its own process.")
    flags.DEFINE_bool("keep_files", True, "Keep the codecs' files in --out.")
    flags.DEFINE_bool("report", True, "Write report.html.")
    flags.DEFINE_integer("report_images", 24, "Pictures in the report.", lower_bound=0)
    flags.DEFINE_integer("report_side", 1024, "Larger ones are cut to their middle, pixels.", 16)
    flags.DEFINE_float("report_megabytes", 38.0, "Size that the report keeps below.", 0.05, 2000)
    flags.DEFINE_bool("report_lossless", False, "Embed pictures without loss; a larger page.")
    flags.DEFINE_bool("overwrite", False, "Measure everything again, replace what is there.")
    flags.DEFINE_bool(
        "branch_cost", False, "Measure what integer scales cost in bits, and no more."
    )


def _qualities() -> list[float] | None:
    from tfhific.errors import TfhificError

    if FLAGS.qualities is None:
        return None
    try:
        qualities = [float(value) for value in FLAGS.qualities]
    except ValueError:
        qualities = []
    if not qualities or not all(1 <= quality <= 8 for quality in qualities):
        raise TfhificError(
            f"--qualities: expected numbers from 1 to 8. Received: {','.join(FLAGS.qualities)}."
        )
    return qualities


def _ladders(codecs: list[str]) -> dict[str, list[float]]:
    from tfhific.errors import TfhificError
    from tfhific.evaluation.codecs import CLASSICAL, parse_codecs

    ladders: dict[str, list[float]] = {}
    for text in FLAGS.ladder:
        label, _, values = text.partition(":")
        try:
            ladders[label] = [float(value) for value in values.split(",")]
        except ValueError:
            raise TfhificError(
                f"--ladder: expected CODEC:SETTING,SETTING,.... Received: {text!r}."
            ) from None
    qualities = _qualities()
    if qualities is not None:
        for spec in parse_codecs(codecs):
            if len(spec.members) == 1 and spec.members[0] not in CLASSICAL:
                ladders.setdefault(spec.label, qualities)
    return ladders


def _branch_cost(model, paths: list[str], qualities: list[float]) -> int:
    from tfhific.evaluation.branch_cost import branch_cost
    from tfhific.pictures.images import read_picture

    for quality in qualities:
        pairs = [branch_cost(model, read_picture(path).pixels, quality) for path in paths]
        integer, real = (sum(column) for column in zip(*pairs))
        print(
            f"quality {quality:g}: {integer / 8:,.0f} bytes by the integer branch, "
            f"{100 * (integer / real - 1):+.4f} % against the float one, {len(paths)} images"
        )
    return 0


def evaluate() -> int:
    from tfhific.data.folders import find_images
    from tfhific.errors import TfhificError
    from tfhific.files.own_inputs import refuse_own_input

    if not FLAGS.data:
        raise TfhificError("--data is needed. See --help.")
    if FLAGS.codecs is not None and FLAGS.model is not None:
        raise TfhificError("Expected --codecs or --model, which is short for MODEL,jpeg; not both.")
    codecs = FLAGS.codecs if FLAGS.codecs is not None else [FLAGS.model or "mini", "jpeg"]
    if not FLAGS.branch_cost:
        rows_alone = not FLAGS.out or FLAGS.out.endswith(".csv")
        packages = ["bjontegaard"] if rows_alone else ["bjontegaard", "matplotlib"]
        extras.require("Comparing", "evaluation", {name: name for name in packages})
    ladders = _ladders(codecs)
    table = FLAGS.out if FLAGS.out and FLAGS.out.endswith(".csv") else None
    if table:
        common.refuse_existing(table, FLAGS.overwrite)
        refuse_own_input(table, [FLAGS.lpips, FLAGS.features, FLAGS.data])
    common.say_left_out(find_images(FLAGS.data).left_out, FLAGS.data)
    if FLAGS.branch_cost:
        from tfhific import zoo
        from tfhific.data.folders import list_images
        from tfhific.published.store import load_hyperprior

        common.start_tensorflow()
        qualities = _qualities() or [float(quality) for quality in range(1, 9)]
        paths = list_images(FLAGS.data)[: FLAGS.max_images]
        published = load_hyperprior(zoo.find_by_name(FLAGS.model or "mini"))
        return _branch_cost(published, paths, qualities)

    from tqdm import tqdm

    from tfhific.evaluation import EvaluationConfig, results
    from tfhific.evaluation import evaluate as run_evaluation
    from tfhific.files.atomic import write_atomically

    config = EvaluationConfig(
        data=FLAGS.data,
        codecs=codecs,
        out=None if table else FLAGS.out,
        match=FLAGS.match,
        ladders=ladders,
        anchor=FLAGS.anchor,
        lpips=FLAGS.lpips,
        features=FLAGS.features,
        features_range=FLAGS.features_range,
        features_size=FLAGS.features_size,
        limit=FLAGS.max_images,
        jobs=FLAGS.jobs,
        memory=FLAGS.memory,
        keep_files=FLAGS.keep_files,
        overwrite=FLAGS.overwrite,
        command=results.describe_command(sys.argv),
    )
    common.start_tensorflow()
    with tqdm(unit="file", leave=False, disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        evaluation = run_evaluation(config, progress=progress)
    for failure in evaluation.failures:
        place = " ".join(filter(None, [failure.image, failure.codec, failure.point]))
        common.say(f"error: {place}: {failure.message}")
    if table:
        write_atomically(table, results.to_csv(evaluation.rows), overwrite=FLAGS.overwrite)
    if not evaluation.pictures:
        return 1
    _print_curves(evaluation)
    if config.out:
        _save(evaluation)
    return 1 if evaluation.failures else 0


def _save(evaluation) -> None:
    options = {
        "images": FLAGS.report_images,
        "side": FLAGS.report_side,
        "megabytes": FLAGS.report_megabytes,
        "lossless": FLAGS.report_lossless,
    }
    kept = len(evaluation.rows) - evaluation.measured
    again = f", {kept:,} were there" if kept > 0 else ""
    print(f"{evaluation.measured:,} files measured{again}")
    files = evaluation.save(with_report=FLAGS.report, **options)
    print(f"{FLAGS.out}: results.csv, {', '.join(n for n in files if not n.startswith('plots'))}")


def _print_curves(evaluation) -> None:
    import math

    from tfhific.evaluation.curves import METRICS

    for curve in evaluation.curves():
        shown = [metric for metric in METRICS if len(curve.drawn(metric.name)[0])]
        print(f"{curve.codec}, means over {len(curve.points[0].rows)} images")
        print(f"{'setting':>12}{'bpp':>9}" + "".join(f"{_short(m):>9}" for m in shown))
        for point in curve.points:
            values = (point.means[metric.name] for metric in shown)
            cells = (f"{value:>9.{m.digits}f}" for value, m in zip(values, shown))
            missed = f"  {point.missed} missed" if point.missed else ""
            print(f"{point.point:>12}{point.bpp:>9.4f}" + "".join(cells) + missed)
        own = [row for point in curve.points for row in point.rows]
        own = [row for row in own if math.isfinite(row.estimated_bpp)]
        if own:
            worst = max(own, key=lambda row: row.bytes - _allowed(row))
            over = sum(row.bytes > _allowed(row) for row in own)
            print(
                f"files over 1.01 x estimate + 64 bytes: {over} of {len(own)}; closest: "
                f"{worst.bytes - _allowed(worst):.0f} bytes ({worst.image} at {worst.setting})"
            )
    if evaluation.anchor not in {curve.codec for curve in evaluation.curves()}:
        return
    for each in evaluation.compare():
        if each.metric != "psnr":
            continue
        if each.rate is None:
            print(f"{each.codec} against {evaluation.anchor}: {each.reason}")
            continue
        print(
            f"Bjontegaard rate difference of {each.codec} against {evaluation.anchor}, PSNR over "
            f"RGB: {each.rate.value:+.1f} % over {each.rate.low:.2f} to {each.rate.high:.2f} dB"
        )


def _short(metric) -> str:
    return {"psnr": "PSNR", "psnr_y": "PSNR-Y", "ms_ssim": "MS-SSIM", "lpips": "LPIPS"}[metric.name]


def _allowed(row) -> float:
    """1.01 x the float model's estimate, plus 64 bytes."""
    return 1.01 * row.estimated_bpp * row.width * row.height / 8 + 64


def main(argv: list[str]) -> int:
    return common.guarded(evaluate, argv, positional=0)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
