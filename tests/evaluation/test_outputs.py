"""What an evaluation leaves behind can be opened and says the same everywhere."""

from __future__ import annotations

import xml.etree.ElementTree

import pytest
from PIL import Image

from tfhific.errors import OutputError, TfhificError
from tfhific.evaluation import evaluate, results, summary
from tfhific.evaluation.curves import METRIC, make_curves
from tfhific.evaluation.plots import draw
from tfhific.evaluation.reference import kodak_curves


@pytest.fixture(scope="module")
def done(pictures):
    return evaluate(
        data=str(pictures),
        codecs=["jpeg", "webp"],
        ladders={"jpeg": [8, 20, 40, 70], "webp": [5, 30, 60, 80]},
        memory=False,
    )


def test_files_are_there_and_whole(done, tmp_path):
    out = tmp_path / "new" / "folder"
    names = done.save(str(out), images=1)
    assert set(names) == {
        "results.csv",
        "summary.md",
        "report.html",
        *(f"plots/{m}.{kind}" for m in ("psnr", "psnr_y", "ms_ssim") for kind in ("png", "svg")),
    }
    assert sorted(p.name for p in out.rglob("*") if p.is_file()) == sorted(
        name.split("/")[-1] for name in names
    )
    assert [row.key for row in results.read_rows(out / "results.csv")] == [r.key for r in done.rows]
    for path in (out / "plots").glob("*.png"):
        Image.open(path).load()
    for path in (out / "plots").glob("*.svg"):
        assert xml.etree.ElementTree.parse(path).getroot().tag.endswith("svg")


def test_summary_has_every_point_and_difference(done):
    text = summary.to_markdown(done)
    for curve in done.curves():
        for point in curve.points:
            assert f"| {curve.codec} | {point.point} | {point.bpp:.4f}" in text
    for each in done.compare():
        assert f"{each.rate.value:+.1f}" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    widths = {}
    for line in tables:
        widths.setdefault(line.count("|"), []).append(line)
    assert len(widths) == 2


def test_curves_that_do_not_overlap_are_said_to(pictures):
    done = evaluate(
        data=str(pictures),
        codecs=["jpeg", "webp"],
        ladders={"jpeg": [2, 3], "webp": [90, 95]},
        memory=False,
    )
    assert "do not overlap" in summary.to_markdown(done)


def test_single_codec_has_a_summary_without_differences(pictures, steps):
    done = evaluate(data=str(pictures), codecs=[steps])
    assert "no second curve" in summary.to_markdown(done)


def test_failures_and_what_was_left_out_are_in_the_summary(pictures, steps):
    whole = steps.encode
    steps.encode = lambda pixels, s: whole(pixels, s) if pixels.shape[0] != 184 else 1 / 0
    text = summary.to_markdown(evaluate(data=str(pictures), codecs=[steps]))
    assert "Left out: 1 picture" in text
    assert "Failed: b.png steps 2: ZeroDivisionError" in text


def test_nothing_measured_or_nowhere_to_write_is_told(pictures, steps, done, tmp_path):
    steps.encode = None
    nothing = evaluate(data=str(pictures), codecs=[steps])
    with pytest.raises(TfhificError, match="No picture has"):
        nothing.save(str(tmp_path / "x"))
    with pytest.raises(OutputError, match="save"):
        done.save()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="folder"):
        done.save(str(tmp_path / "file" / "x"))


def test_plots_are_the_same_for_the_same_numbers_and_take_published_curves(make_row):
    rows = [make_row(setting=str(i), bpp=i / 4, psnr=20.0 + 5 * i) for i in range(1, 5)]
    curves = make_curves(rows, ["a"])
    first, second = (draw(METRIC["psnr"], curves, kodak_curves(), "x") for _ in range(2))
    assert first == second
    assert draw(METRIC["psnr"], curves, (), "x") != first
