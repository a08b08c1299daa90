"""`summary.md`: the numbers of an evaluation as tables, and the sentences that go with them."""

from __future__ import annotations

import math

from tfhific.evaluation.codecs import missing_classical
from tfhific.evaluation.comparison import ComparedCurves
from tfhific.evaluation.curves import METRIC, METRICS
from tfhific.evaluation.record import Record
from tfhific.evaluation.reference import SOURCE, is_kodak, kodak_curves

CURVE_NOTE = (
    "Whole files, headers included. Points are means over the pictures; whiskers are 95 % "
    "bootstrap intervals of the mean over pictures."
)
DISTANCE_NOTE = (
    "Squared Frechet distance and KID between patches of originals and of decoded pictures, by "
    "features of {network}. They are comparable only with distances by the same network, on the "
    "same number of patches."
)


def difference_note(evaluation: Record) -> str:
    """What the table of Bjontegaard differences says."""
    return (
        f"Against {evaluation.anchor}: bits at equal quality, and quality at equal bits, each "
        "averaged over the range that both curves share (Akima interpolation). Below 0 % takes "
        "fewer bits. More PSNR and MS-SSIM (in dB) and less LPIPS are better. With each, its 95 % "
        "bootstrap interval over pictures."
    )


def points_note(evaluation: Record) -> str:
    """What the table of points says."""
    note = "Means over pictures; times are medians of single runs with the codec loaded."
    if any(row.machine.endswith("jobs") for row in evaluation.rows):
        note += " Several were measured at once, so times are longer than alone."
    exact = sum(row.psnr == math.inf for row in evaluation.rows)
    if exact:
        note += (
            f" {_count(exact, 'file')} give back the picture exactly; its PSNR counts as that of a "
            "single sample off by one."
        )
    if any(math.isfinite(row.peak_memory_mib) for row in evaluation.rows):
        note += (
            " Peak memory is of a process of its own that loads the codec, encodes and decodes "
            "the largest picture, Python and TensorFlow included."
        )
    return note


def lead(evaluation: Record) -> str:
    """What was compared, in a sentence or two."""
    pictures = len(evaluation.pictures)
    sizes = sorted({(image.width, image.height) for image in evaluation.images})
    shown = " and ".join(f"{w}x{h}" for w, h in sizes[:2])
    shown = f"of {shown} pixels" if len(sizes) <= 2 else f"of {len(sizes)} sizes"
    way = (
        f"matched at {evaluation.config.match}" if evaluation.config.match else "at their settings"
    )
    return (
        f"{_count(pictures, 'picture')} {shown}; {_count(len(evaluation.specs), 'codec')} "
        f"({', '.join(evaluation.labels)}) {way}; {_count(len(evaluation.rows), 'real file')}, "
        "each written, decoded and measured."
    )


def about(evaluation: Record) -> list[tuple[str, str, bool]]:
    """Terms, texts, and whether they are warnings: how and where it was measured."""

    def distinct(name: str) -> str:
        return "; ".join(sorted({getattr(row, name) for row in evaluation.rows}))

    items = [
        ("Set", evaluation.name, False),
        ("Command", distinct("command"), False),
        ("Machine", distinct("machine"), False),
        ("Versions", distinct("versions"), False),
    ]
    for label in evaluation.labels:
        versions = sorted({row.codec_version for row in evaluation.rows if row.codec == label})
        items.append((f"Codec {label}", ", ".join(versions) or "no results", not versions))
    weights = sorted({row.lpips_weights for row in evaluation.rows} - {""})
    items.append(("LPIPS", ", ".join(weights) or "not measured: no weights were named", False))
    if references(evaluation):
        items.append(("Published curves", SOURCE, False))
    missing = missing_classical()
    if missing:
        items.append(("Not in this Pillow", ", ".join(missing), False))
    left_out = len(evaluation.images) - len(evaluation.pictures)
    if left_out:
        items.append(
            ("Left out", f"{_count(left_out, 'picture')} that some codec has no result for", True)
        )
    for failure in evaluation.failures:
        place = " ".join(filter(None, [failure.image, failure.codec, failure.point]))
        items.append((f"Failed: {place}", failure.message, True))
    return items


def references(evaluation: Record) -> list:
    """The published curves that belong beside these, if the set is Kodak."""
    pictures = set(evaluation.pictures)
    images = [image for image in evaluation.images if (image.name, image.digest) in pictures]
    whole = is_kodak([i.name for i in images], [(i.width, i.height) for i in images])
    return kodak_curves() if whole else []


def to_markdown(evaluation: Record) -> str:
    """The summary."""
    curves = evaluation.curves()
    shown = [m for m in METRICS if any(len(curve.drawn(m.name)[0]) for curve in curves)]
    lines = [f"# {_plain(evaluation.name)}", "", _plain(lead(evaluation)), ""]
    lines += ["## Bjontegaard differences", "", difference_note(evaluation), ""]
    compared = evaluation.compare() if evaluation.anchor in {c.codec for c in curves} else []
    if compared:
        lines += _row("codec", "by", "bits, %", "95 %", "quality", "95 %", "range")
        lines += ["| --- | --- | ---: | --- | ---: | --- | --- |"]
        lines += [line for each in compared for line in _difference(each)]
    else:
        lines += ["None: there is no second curve."]
    lines += ["", "## Points", "", points_note(evaluation), ""]
    lines += _row(
        *("codec", "setting", "bits per pixel"),
        *(metric.title for metric in shown),
        *("encode, s", "decode, s", "peak, MiB"),
    )
    lines += ["| --- | --- |" + " ---: |" * (len(shown) + 4)]
    for curve in curves:
        for point in curve.points:
            missed = f" ({point.missed} missed)" if point.missed else ""
            lines += _row(
                *(curve.codec, point.point + missed, _span(point, "bpp", 4)),
                *(_span(point, metric.name, metric.digits) for metric in shown),
                *(f"{point.encode_seconds:.3f}", f"{point.decode_seconds:.3f}"),
                _number(curve.peak_memory_mib, 0),
            )
    if evaluation.distances:
        network = evaluation.distances[0].network
        lines += ["", "## Distances between sets", ""]
        lines += [DISTANCE_NOTE.format(network=network), ""]
        lines += _row("codec", "setting", "bits per pixel", "Frechet", "KID x 1000", "patches")
        lines += ["| --- | --- | ---: | ---: | ---: | ---: |"]
        for each in evaluation.distances:
            lines += _row(
                *(each.codec, each.point, f"{each.bpp:.4f}", f"{each.frechet:.3f}"),
                *(f"{1000 * each.kid:.3f}", str(each.samples)),
            )
    lines += ["", "## How this was measured", "", CURVE_NOTE, ""]
    lines += [f"- {_plain(term)}: {_plain(text)}" for term, text, _ in about(evaluation)]
    return "\n".join(lines) + "\n"


def _difference(each: ComparedCurves) -> list[str]:
    name = METRIC[each.metric].title.partition(",")[0]
    if each.rate is None or each.quality is None:
        return _row(each.codec, name, each.reason, "", "", "", "")
    sign, digits = (-1, 4) if each.metric == "lpips" else (1, 2)
    low, high = sorted(sign * each.quality_interval[i] for i in (0, 1))
    ends = sorted(sign * end for end in (each.rate.low, each.rate.high))
    return _row(
        *(each.codec, name, f"{each.rate.value:+.1f}", _ends(*each.rate_interval, "+.1f")),
        *(f"{sign * each.quality.value:+.{digits}f}", _ends(low, high, f"+.{digits}f")),
        _ends(ends[0], ends[1], f".{digits}f") + (" dB" if digits == 2 else ""),
    )


def _span(point, name: str, digits: int) -> str:
    low, high = point.intervals[name]
    value = point.bpp if name == "bpp" else point.means[name]
    if math.isnan(low):
        return _number(value, digits)
    return f"{_number(value, digits)} ({low:.{digits}f} to {high:.{digits}f})"


def _ends(low: float, high: float, form: str) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"{low:{form}} to {high:{form}}"


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _row(*cells: str) -> list[str]:
    return ["| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"]


def _plain(text: str) -> str:
    """Text that a file's name may be part of, harmless in Markdown."""
    return " ".join(text.split()).replace("<", "&lt;")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
