"""An evaluation measures real files, continues what was stopped, and lets no row end the others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from tfhific.errors import ModelError, OutputError, TfhificError
from tfhific.evaluation import EvaluationConfig, evaluate, results
from tfhific.evaluation.codecs import CodecSpec, open_codec
from tfhific.evaluation.metrics import ms_ssim, psnr, psnr_y
from tfhific.pictures.images import read_picture


def test_rows_are_of_real_files(pictures, tiny_search, tiny_codec, tmp_path):
    out = tmp_path / "out"
    done = evaluate(
        data=str(pictures),
        codecs=["tiny", "jpeg"],
        ladders={"tiny": [2, 6], "jpeg": [30]},
        out=str(out),
        memory=False,
    )
    assert not done.failures
    assert [image.name for image in done.images] == ["a.png", "b.png", "below/c.png"]
    assert len(done.rows) == 9
    jpeg = open_codec(CodecSpec("jpeg", ("jpeg",)))
    files = {path.read_bytes() for path in (out / "files").iterdir()}
    for row in done.rows:
        pixels = read_picture(pictures / row.image).pixels
        if row.codec == "tiny":
            data = tiny_codec.compress(pixels, float(row.setting))
            decoded = tiny_codec.decompress(data)
            assert row.estimated_bpp == tiny_codec.estimate_bpp(pixels, float(row.setting))
        else:
            data = jpeg.encode(pixels, 30)
            decoded = jpeg.decode(data)
            assert math.isnan(row.estimated_bpp)
        assert data in files
        assert (row.bytes, row.bpp) == (len(data), 8 * len(data) / pixels[..., 0].size)
        assert (row.width, row.height) == pixels.shape[1::-1]
        assert row.psnr == psnr(pixels, decoded)
        assert row.psnr_y == psnr_y(pixels, decoded)
        assert row.ms_ssim == ms_ssim(pixels, decoded)
        assert min(row.encode_seconds, row.decode_seconds) > 0
        for text in (row.versions, row.machine, row.command):
            assert text
            assert str(pictures) not in text


def test_what_is_there_is_not_measured_again(pictures, steps, tmp_path):
    settings = {"data": str(pictures), "codecs": [steps, "jpeg"], "out": str(tmp_path)}
    settings |= {"ladders": {"jpeg": [10, 20]}, "memory": False}
    first = evaluate(**settings)
    assert first.measured == len(first.rows) == 15
    count = len(steps.encoded)
    again = evaluate(**settings)
    assert (again.measured, len(steps.encoded)) == (0, count)
    assert [row.key for row in again.rows] == [row.key for row in first.rows]

    # A wider ladder, a changed codec and a changed picture ask for what is new alone.
    wider = evaluate(**{**settings, "ladders": {"jpeg": [10, 20, 30]}})
    assert wider.measured == 3
    steps.version = "2"
    assert evaluate(**settings).measured == 9
    assert evaluate(**settings, overwrite=True).measured == 15


def test_changed_picture_is_measured_again(steps, tmp_path, photo):
    (tmp_path / "in").mkdir()
    for name in "ab":
        Image.fromarray(photo(32, 32, ord(name))).save(tmp_path / "in" / f"{name}.png")
    settings = {"data": str(tmp_path / "in"), "codecs": [steps], "out": str(tmp_path / "out")}
    assert evaluate(**settings).measured == 6
    Image.fromarray(photo(32, 32, 9)).save(tmp_path / "in" / "a.png")
    assert evaluate(**settings).measured == 3


def test_stopped_evaluation_continues(pictures, steps, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 5:
            raise Stop

    settings = {"data": str(pictures), "codecs": [steps], "out": str(tmp_path)}
    with pytest.raises(Stop):
        evaluate(**settings, progress=stop)
    # As if the machine had gone down within the next row.
    with open(tmp_path / "results.csv", "ab") as stream:
        stream.write(b'"a.png",1234')
    assert len(results.read_rows(tmp_path / "results.csv")) == 5
    done = evaluate(**settings)
    assert (done.measured, len(done.rows)) == (4, 9)


def test_several_jobs_give_the_same_rows(pictures, tmp_path):
    rows = []
    for jobs in (1, 2):
        done = evaluate(
            data=str(pictures),
            codecs=["jpeg", "webp"],
            ladders={"jpeg": [10, 40], "webp": [20]},
            out=str(tmp_path / str(jobs)),
            jobs=jobs,
            memory=jobs == 1,
        )
        assert not done.failures
        rows.append([(*row.key, row.bytes, row.psnr, row.ms_ssim) for row in done.rows])
        assert done.rows[0].machine.endswith(["1 job", "2 jobs"][jobs - 1])
        peaks = [curve.peak_memory_mib for curve in done.curves()]
        assert all(10 < peak < 1000 for peak in peaks) if jobs == 1 else np.isnan(peaks).all()
    assert rows[0] == rows[1]


def test_a_row_that_fails_is_told_and_the_others_are_measured(pictures, steps, tmp_path):
    whole = steps.decode

    def decode(data):
        if len(data) % 7 == 3 or np.frombuffer(data[:4], "<i4")[0] == 184:  # b.png
            raise MemoryError("no room")
        return whole(data)

    steps.decode = decode
    done = evaluate(data=str(pictures), codecs=[steps, "jpeg"], ladders={"jpeg": [50]})
    assert {failure.image for failure in done.failures} >= {"b.png"}
    assert all("MemoryError: no room" in failure.message for failure in done.failures)
    assert ("b.png" in dict(done.pictures)) is False
    assert len([row for row in done.rows if row.codec == "jpeg"]) == 3


def test_unreadable_picture_is_told_and_left_out(steps, tmp_path, photo):
    Image.fromarray(photo(32, 32)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:200])
    done = evaluate(data=str(tmp_path), codecs=[steps])
    assert [failure.image for failure in done.failures] == ["bad.png"]
    assert len(done.rows) == 3
    (tmp_path / "good.png").unlink()
    with pytest.raises(TfhificError, match="No picture"):
        evaluate(data=str(tmp_path), codecs=[steps])


@pytest.mark.parametrize("match", ["bpp:1.5,2.5", "psnr:30"])
def test_codecs_are_matched_picture_by_picture(match, pictures, tmp_path):
    done = evaluate(data=str(pictures), codecs=["jpeg", "webp"], match=match, memory=False)
    kind, values = match.split(":")
    assert {row.target for row in done.rows} == {f"{kind}:{v}" for v in values.split(",")}
    for row in done.rows:
        value = float(row.target.split(":")[1])
        assert row.reached
        if kind == "bpp":
            assert 0.85 * value < row.bpp <= value
        else:
            assert value <= row.psnr < value + 1
    again = evaluate(
        data=str(pictures), codecs=["jpeg"], match=match, memory=False, out=str(tmp_path)
    )
    assert evaluate(again.config).measured == 0


def test_lpips_is_the_layers_and_asked_for_later_measures_again(
    pictures, steps, tmp_path, small_lpips
):
    from tfhific.losses.lpips import LPIPS

    settings = {"data": str(pictures), "codecs": [steps], "out": str(tmp_path)}
    assert all(math.isnan(row.lpips) for row in evaluate(**settings).rows)
    done = evaluate(**settings, lpips=str(small_lpips))
    assert done.measured == 9
    row = done.rows[4]
    pixels = read_picture(pictures / row.image).pixels
    decoded = steps.decode(steps.encode(pixels, int(row.setting)))
    pair = [image[None].astype(np.float32) / 127.5 - 1 for image in (pixels, decoded)]
    assert row.lpips == pytest.approx(float(LPIPS(small_lpips)(tuple(pair))[0]), rel=1e-5)
    assert row.lpips_weights.startswith(small_lpips.stem + "-")
    # Once measured it is kept, and an evaluation without LPIPS takes those rows too.
    assert evaluate(**settings).measured == 0


def test_distances_of_sets_fall_with_quality_and_are_kept(pictures, steps, tmp_path, small_lpips):
    settings = {"data": str(pictures), "codecs": [steps], "out": str(tmp_path)}
    done = evaluate(**settings, features=str(small_lpips))
    assert [each.point for each in done.distances] == ["2", "3", "4"]
    values = [each.frechet for each in done.distances]
    assert sorted(values, reverse=True) == values
    assert all(each.network.startswith(small_lpips.name) for each in done.distances)
    assert {each.samples for each in done.distances} == {3}
    again = evaluate(**settings, features=str(small_lpips))
    assert again.measured == 0
    assert again.distances == done.distances


def test_tiny_pictures_are_measured_without_lpips(steps, tmp_path, small_lpips):
    Image.fromarray(np.full([1, 1, 3], 77, np.uint8)).save(tmp_path / "one.png")
    done = evaluate(data=str(tmp_path), codecs=[steps, "jpeg"], lpips=str(small_lpips))
    assert not done.failures
    assert all(math.isnan(row.lpips) for row in done.rows)


def test_anchor_is_jpeg_or_the_first_or_who_was_named(pictures, steps):
    settings = {"data": str(pictures), "memory": False, "ladders": {"jpeg": [10, 50]}}
    done = evaluate(**settings, codecs=[steps, "jpeg"])
    assert done.anchor == "jpeg"
    assert {each.codec for each in done.compare()} == {"steps"}
    assert {each.codec for each in done.compare("steps")} == {"jpeg"}
    with pytest.raises(TfhificError, match="steps, jpeg"):
        done.compare("webp")
    settings["ladders"] = {}
    assert evaluate(**settings, codecs=[steps]).anchor == "steps"


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"anchor": "webp"}, TfhificError, "anchor"),
        ({"jobs": 0}, TfhificError, "jobs"),
        ({"match": "rate:1"}, TfhificError, "bpp"),
        ({"data": "nowhere"}, TfhificError, "No images"),
        ({"lpips": "nowhere.npz"}, ModelError, "nowhere"),
        ({"features": "nowhere"}, ModelError, "nowhere"),
        ({"codecs": ["huge"]}, ModelError, "huge"),
        ({"out": "/dev/null/x"}, OutputError, "folder"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(changes, error, said, pictures):
    config = EvaluationConfig(data=str(pictures), codecs=["jpeg"])
    with pytest.raises(error, match=said):
        evaluate(config, **changes)


def test_a_mistake_leaves_no_folder_behind(pictures, tmp_path):
    with pytest.raises(ModelError):
        evaluate(data=str(pictures), codecs=["jpeg", "huge"], out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_table_of_another_kind_is_left_alone(pictures, tmp_path):
    (tmp_path / "results.csv").write_text("mine\n1\n")
    with pytest.raises(TfhificError, match="another table"):
        evaluate(data=str(pictures), codecs=["jpeg"], out=str(tmp_path))
    assert (tmp_path / "results.csv").read_text() == "mine\n1\n"
