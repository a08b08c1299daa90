"""The page is whole in itself, holds the numbers that were measured, and keeps to its size."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from tfhific.errors import TfhificError
from tfhific.evaluation import evaluate
from tfhific.evaluation.metrics import psnr
from tfhific.evaluation.report import as_json, to_html
from tfhific.evaluation.report_options import ReportOptions
from tfhific.evaluation.report_pictures import choose_sizes, embed_pictures
from tfhific.pictures.images import read_picture


class Page(html.parser.HTMLParser):
    """Scripts by id, and every address that the page names."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.addresses, self.tags, self._open = {}, [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.addresses += [attrs[name] for name in ("src", "href", "action") if name in attrs]
        self._open = attrs.get("id") if tag == "script" else None

    def handle_data(self, data):
        if self._open:
            self.scripts[self._open] = self.scripts.get(self._open, "") + data

    @property
    def data(self):
        return json.loads(self.scripts["data"])


@pytest.fixture(scope="module")
def done(pictures, tmp_path_factory):
    return evaluate(
        data=str(pictures),
        codecs=["jpeg", "webp", "jpeg2000"],
        ladders={"jpeg": [8, 20, 40, 70], "webp": [5, 30, 60, 80], "jpeg2000": [30, 45, 60]},
        out=str(tmp_path_factory.mktemp("out")),
        memory=False,
    )


@pytest.fixture(scope="module")
def page(done):
    return Page(to_html(done, done.config.out))


def test_nothing_outside_the_page_is_named(done, page):
    assert page.addresses == ["data:,"]
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    text = to_html(done)
    for scheme in ("http://", "https://", "//cdn", "@import", "url("):
        outside = re.sub(r"http://www\.w3\.org/2000/svg", "", text)
        assert scheme not in outside, scheme


def test_numbers_are_those_of_the_curves(done, page):
    curves = {curve.codec: curve for curve in done.curves()}
    assert [codec["name"] for codec in page.data["codecs"]] == list(curves)
    for drawn in page.data["curves"]:
        for own, point in zip(curves[drawn["codec"]].points, drawn["points"]):
            assert point["bpp"] == own.bpp
            assert point["means"]["psnr"] == own.means["psnr"]
            assert point["means"]["lpips"] is None
            assert point["intervals"]["psnr"] == list(own.intervals["psnr"])
    compared = {(each.codec, each.metric): each for each in done.compare()}
    for each in page.data["comparisons"]:
        assert each["rate"] == compared[each["codec"], each["metric"]].rate.value


def decoded(page, key) -> np.ndarray:
    kind, _, data = page.scripts[key].strip().partition(";base64,")
    assert kind.startswith("data:image/")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_pictures_are_the_codecs_own(done, page, pictures):
    assert [picture["name"] for picture in page.data["pictures"]] == [
        "a.png",
        "b.png",
        "below/c.png",
    ]
    rows = {(row.image, row.codec, row.setting): row for row in done.rows}
    for picture in page.data["pictures"]:
        original = read_picture(pictures / picture["name"]).pixels
        assert psnr(decoded(page, picture["original"]), original) > 36
        assert len(picture["levels"]) == len(page.data["levels"])
        for level in picture["levels"]:
            assert [shot["codec"] for shot in level] == done.labels
            for shot in level:
                row = rows[picture["name"], shot["codec"], shot["setting"]]
                assert shot["bytes"] == row.bytes
                found = psnr(decoded(page, shot["key"]), original)
                assert found == pytest.approx(row.psnr, abs=0.6)
                if shot["codec"] in ("jpeg", "webp"):
                    data = page.scripts[shot["key"]].strip().partition("base64,")[2]
                    assert len(base64.b64decode(data)) == row.bytes


def test_files_that_are_gone_are_made_again(done, page, tmp_path):
    again = Page(to_html(done, str(tmp_path)))
    assert again.scripts == page.scripts


def test_sizes_are_near_each_other(page):
    for picture in page.data["pictures"]:
        for level in picture["levels"]:
            sizes = [shot["bytes"] for shot in level]
            assert max(sizes) < 2.2 * min(sizes)


def test_a_small_budget_keeps_fewer_sizes_then_fewer_pictures(done):
    whole = embed_pictures(done, None, ReportOptions())
    total = sum(map(len, whole.sources.values())) / 1e6
    assert (len(whole.levels), len(whole.pictures)) == (3, 3)
    less = embed_pictures(done, None, ReportOptions(megabytes=0.7 * total))
    assert len(less.levels) < 3
    assert len(less.pictures) == 3
    least = embed_pictures(done, None, ReportOptions(megabytes=total / 4))
    assert len(least.levels) == 1
    assert len(least.pictures) < 3
    assert f"first {len(least.pictures)} of 3" in least.note
    assert sum(map(len, least.sources.values())) <= total / 4 * 1e6


def test_large_pictures_are_cut_to_their_middle(done, pictures):
    page = Page(to_html(done, done.config.out, ReportOptions(images=1, side=64, lossless=True)))
    (picture,) = page.data["pictures"]
    assert picture["shown"] == [64, 64]
    original = read_picture(pictures / "a.png").pixels
    middle = original[(176 - 64) // 2 :, (192 - 64) // 2 :][:64, :64]
    np.testing.assert_array_equal(decoded(page, picture["original"]), middle)
    assert "the middle is shown" in page.data["embedded_note"]


def test_page_without_pictures_has_its_curves(done):
    page = Page(to_html(done, None, ReportOptions(images=0)))
    assert page.data["pictures"] == []
    assert len(page.data["curves"]) == 3


def test_hostile_names_are_text(steps, tmp_path, photo):
    folder = tmp_path / "<b>set"
    folder.mkdir()
    name = "</script><img src=x onerror=alert(1)>@data@.png".replace("/", "\u2215")
    Image.fromarray(photo(24, 24)).save(folder / name)
    steps.name = "</script><script>alert(1)</script>"
    found = evaluate(data=str(folder), codecs=[steps])
    text = to_html(found)
    assert "<script>alert" not in text
    assert "onerror=alert(1)>" not in text
    page = Page(text)
    assert page.data["pictures"][0]["name"] == name
    assert page.data["codecs"][0]["name"] == steps.name


def test_json_has_no_markup_and_no_numbers_that_json_lacks():
    text = as_json({"a": "<!--</script>&\u2028", "b": [math.nan, math.inf], "c": "\ud800"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["a"] == "<!--</script>&\u2028"
    assert json.loads(text)["b"] == [None, "inf"]


def test_matched_evaluation_shows_its_targets(pictures):
    done = evaluate(data=str(pictures), codecs=["jpeg", "webp"], match="bpp:1,2", memory=False)
    assert [(size.label, size.target) for size in choose_sizes(done, 3)] == [
        ("1 bpp", "bpp:1"),
        ("2 bpp", "bpp:2"),
    ]
    page = Page(to_html(done))
    assert len(page.data["pictures"][0]["levels"]) == 2


@pytest.mark.parametrize("wrong", [{"images": -1}, {"side": 3}, {"megabytes": 0.0}])
def test_options_that_make_no_sense_are_told(wrong):
    with pytest.raises(TfhificError, match="Received"):
        ReportOptions(**wrong)
