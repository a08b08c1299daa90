"""`bin/compress.py`: images in, `.tfh` files out, one message for each that fails."""

from __future__ import annotations

import io
import json
import os
import stat

import numpy as np
import pytest
from PIL import Image

from tfhific.bitstream import container
from tfhific.commands.quality import quality_of
from tfhific.pictures.images import read_picture


def png(array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def work(tmp_path, monkeypatch, photo):
    """A working folder with one picture, `a.png`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(png(photo(48, 64)))
    return tmp_path


@pytest.fixture
def compress(call_script):
    return lambda *arguments: call_script("compress", "--model=tiny", *arguments)


def refused(done, said) -> None:
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: ")
    assert said in done.err


def test_folder_of_good_and_bad_files_in_a_new_process(tmp_path, photo, light_codec, run_script):
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    good = png(photo(40, 50))
    for name, data in {
        "a good.png": good,
        "b_empty.png": b"",
        "c_text.jpg": b"this is no picture",
        "d_cut.png": good[: len(good) // 2],
        "deep/e.png": good,
        "f.png": good,
        "f.webp": good,
        "g_done.png": good,
    }.items():
        (source / name).write_bytes(data)
    target.mkdir()
    (target / "g_done.tfh").write_bytes(b"kept")
    done = run_script(
        "compress", source, target, "--model=tiny", "--quality=2.5", "--recursive", "--json"
    )
    assert done.returncode == 1

    lines = {
        os.path.relpath(facts["input"], source): facts
        for facts in map(json.loads, done.stdout.decode().splitlines())
    }
    failed = {"b_empty.png", "c_text.jpg", "d_cut.png"}
    assert len(lines) == 8
    assert {name for name, facts in lines.items() if "error" in facts} == failed
    assert "skipped" in lines["g_done.png"]
    told = done.stderr.decode().splitlines()
    assert len(told) == len(failed)
    for line, name in zip(told, sorted(failed)):
        assert line.startswith("error: ")
        assert name in line

    found = {
        os.path.relpath(os.path.join(folder, name), target)
        for folder, _, names in os.walk(target)
        for name in names
    }
    assert found == {"a good.tfh", "deep/e.tfh", "f.png.tfh", "f.webp.tfh", "g_done.tfh"}
    assert (target / "g_done.tfh").read_bytes() == b"kept"
    expected = light_codec.compress(photo(40, 50), 2.5)
    for name in ("a good", "deep/e", "f.png", "f.webp"):
        assert (target / f"{name}.tfh").read_bytes() == expected
    facts = lines["a good.png"]
    assert (facts["width"], facts["height"]) == (50, 40)
    assert (facts["bytes"], facts["quality"], facts["model"]) == (len(expected), 2.5, "tiny")
    assert facts["bpp"] == pytest.approx(8 * len(expected) / 2000, abs=1e-4)


def test_standard_input_goes_to_standard_output_in_a_new_process(photo, light_codec, run_script):
    image = photo(21, 34)
    done = run_script("compress", "-", "--model=tiny", "--quality=7", stdin=png(image))
    assert done.returncode == 0, done.stderr
    assert done.stdout == light_codec.compress(image, 7)


def test_default_output_stands_beside_the_input_at_quality_5(work, compress, tiny_codec):
    done = compress("a.png")
    assert (done.code, done.err) == (0, "")
    data = (work / "a.tfh").read_bytes()
    assert data == tiny_codec.compress(read_picture("a.png").pixels, 5)
    assert done.out.count("\n") == 1
    for part in ("a.png -> a.tfh", "64x48", f"{len(data):,} bytes", "quality 5.00"):
        assert part in done.out


def test_output_may_be_a_file_or_a_folder(work, compress):
    (work / "folder").mkdir()
    for output in ("x.tfh", "folder"):
        assert compress("a.png", output).code == 0
    assert (work / "x.tfh").read_bytes() == (work / "folder" / "a.tfh").read_bytes()


def test_existing_output_is_replaced_only_when_told(work, compress):
    (work / "a.tfh").write_bytes(b"old")
    refused(compress("a.png"), "--overwrite")
    assert (work / "a.tfh").read_bytes() == b"old"
    assert compress("a.png", "--overwrite").code == 0
    assert (work / "a.tfh").read_bytes()[:3] == b"TFH"


def test_folder_is_done_again_only_when_told(work, compress):
    first = compress(".")
    assert "1 done, 0 skipped, 0 failed" in first.err
    again = compress(".")
    assert again.code == 0
    assert "0 done, 1 skipped, 0 failed" in again.err
    assert "skipped" in again.out
    assert "1 done, 0 skipped, 0 failed" in compress(".", "--overwrite").err


@pytest.mark.parametrize("flag", ["--target_bytes=400", "--target_bpp=1.05"])
def test_target_is_met_by_the_largest_quality_that_does(flag, work, compress, tiny_codec):
    limit = 400 if "bytes" in flag else int(1.05 * 48 * 64 / 8)
    done = compress("a.png", flag, "--json")
    assert done.code == 0
    facts = json.loads(done.out)
    data = (work / "a.tfh").read_bytes()
    assert facts["bytes"] == len(data) <= limit
    quality = container.unpack(data).quality
    assert facts["quality"] == pytest.approx(quality, abs=1e-4)
    pixels = read_picture("a.png").pixels
    assert 1 < quality < 8
    # Sizes rise in steps of a few bytes, so that only a clear rise in quality must not fit.
    assert len(tiny_codec.compress(pixels, min(8, quality + 0.3))) > limit


@pytest.mark.parametrize(
    "flag", ["--target_bpp=1e307", "--target_bpp=inf", f"--target_bytes={1 << 62}"]
)
def test_target_beyond_all_sizes_gives_the_best_quality(flag, work, compress):
    done = compress("a.png", flag, "--json")
    assert done.code == 0
    assert json.loads(done.out)["quality"] == 8


def test_target_counts_the_metadata_too(work, compress, photo):
    rgba = np.dstack([photo(48, 64), photo(48, 64, seed=3)[..., 0]])
    (work / "b.png").write_bytes(png(rgba))
    done = compress("b.png", "--target_bytes=6000", "--json")
    assert done.code == 0
    assert (work / "b.tfh").stat().st_size <= 6000
    assert container.unpack((work / "b.tfh").read_bytes()).alpha is not None


def test_unreachable_target_is_refused_with_what_can_be_had(work, compress, tiny_codec):
    smallest = len(tiny_codec.compress(read_picture("a.png").pixels, 1))
    done = compress("a.png", "--target_bytes=20")
    refused(done, f"{smallest} bytes")
    assert "a.png" in done.err
    assert os.listdir(work) == ["a.png"]


def test_verified_file_is_the_same_and_its_psnr_reported(work, compress, tiny_codec):
    done = compress("a.png", "--verify", "--json")
    assert done.code == 0
    pixels = read_picture("a.png").pixels
    data = (work / "a.tfh").read_bytes()
    assert data == tiny_codec.compress(pixels, 5)
    error = np.mean((tiny_codec.decompress(data).astype(float) - pixels) ** 2)
    assert json.loads(done.out)["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
    assert "verified" in compress("a.png", "--verify", "--overwrite").out


def test_file_that_fails_verification_is_not_written(work, compress, monkeypatch):
    from tfhific.codec.hyperprior import HyperpriorCodec

    decode = HyperpriorCodec.decompress_picture

    def wrong(self, data):
        picture = decode(self, data)
        picture.pixels[0, 0, 0] ^= 1
        return picture

    monkeypatch.setattr(HyperpriorCodec, "decompress_picture", wrong)
    refused(compress("a.png", "--verify"), "not written")
    assert os.listdir(work) == ["a.png"]


def test_stripped_file_keeps_alpha_and_nothing_else(work, compress, photo):
    rgba = Image.fromarray(np.dstack([photo(48, 64), photo(48, 64, seed=3)[..., 0]]))
    exif = Image.Exif()
    exif[0x010E] = "description"
    rgba.save("b.png", exif=exif, icc_profile=None)
    assert compress("b.png", "kept.tfh").code == 0
    assert compress("b.png", "stripped.tfh", "--strip").code == 0
    kept, stripped = (
        container.unpack((work / name).read_bytes()) for name in ("kept.tfh", "stripped.tfh")
    )
    assert b"description" in kept.exif
    assert stripped.exif is None
    assert stripped.icc is None
    assert stripped.alpha == kept.alpha is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Expected an input"),
        (["missing.png"], "missing.png"),
        (["a.png", "b.tfh", "c"], "unexpected argument 'c'"),
        (["a.png", "--quality=9"], "--quality"),
        (["a.png", "--quality=nan"], "--quality"),
        (["a.png", "--target_bytes=0"], "--target_bytes"),
        (["a.png", "--target_bpp=-1"], "--target_bpp"),
        (["a.png", "--target_bpp=nan"], "--target_bpp"),
        (["a.png", "--quality=3", "--target_bpp=1"], "--quality and --target_bpp"),
        (["a.png", "--model=huge"], "'huge'"),
        (["a.png", "--tile=5"], "--tile"),
        (["a.png", "--max_pixels=100"], "a.png"),
        (["a.png", "missing/x.tfh"], "missing"),
        (["a.png", "a.png/x.tfh"], "a.png/x.tfh"),
        ([".", "a.png"], "expected a folder"),
        (["empty"], "no files that end in"),
        (["empty.png"], "empty.png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_give_one_line_exit_code_1_and_no_output(arguments, said, work, compress):
    (work / "empty").mkdir()
    (work / "empty.png").write_bytes(b"")
    before = sorted(os.listdir(work))
    done = compress(*arguments)
    refused(done, said)
    assert done.out == ""
    assert sorted(os.listdir(work)) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_takes_no_files_is_told(work, compress):
    (work / "locked").mkdir()
    (work / "locked").chmod(stat.S_IRUSR | stat.S_IXUSR)
    refused(compress("a.png", "locked/a.tfh"), "locked")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no read-only system folder here")
def test_place_that_takes_no_files_is_told(work, compress):
    refused(compress("a.png", "/proc/a.tfh"), "/proc/a.tfh")
    assert os.listdir(work) == ["a.png"]


def test_pictures_of_a_pattern_are_not_written_over_each_other(work, compress, photo):
    (work / "b.png").write_bytes(png(photo(16, 16)))
    before = (work / "b.png").read_bytes()
    for arguments in (("a.png", "b.png"), ("a.png", "b.png", "--overwrite")):
        refused(compress(*arguments), "-o FOLDER/")
    refused(compress("a.png", "b.png", "a.png"), "-o FOLDER/")
    assert (work / "b.png").read_bytes() == before
    assert sorted(os.listdir(work)) == ["a.png", "b.png"]


def test_several_inputs_go_to_a_new_folder_and_a_bad_one_costs_itself_alone(work, compress, photo):
    (work / "b.png").write_bytes(b"no picture")
    (work / "c.png").write_bytes(png(photo(16, 16)))
    done = compress("a.png", "b.png", "c.png", "missing.png", "-o", "new")
    assert done.code == 1
    assert sorted(os.listdir(work / "new")) == ["a.tfh", "c.tfh"]
    assert "b.png" in done.err.splitlines()[0]
    assert "missing.png: no such file" in done.err.splitlines()[1]
    assert "2 done, 0 skipped, 2 failed" in done.err
    again = compress("a.png", "c.png", "--out=new")
    assert (again.code, "0 done, 2 skipped" in again.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.png", "c.png", "-o", "-"], "standard output"),
        (["a.png", "c.png", "-o", "x.tfh"], "expected a folder"),
        (["-", "a.png", "-o", "new"], "standard input"),
        ([".", "a.png", "-o", "new"], "this is a folder"),
        (["a.png", "-o", ""], "empty"),
        (["a.png", "--quality=101%"], "0% to 100%"),
        (["a.png", "--quality=half"], "0% to 100%"),
        (["a.png", "--quality=%"], "0% to 100%"),
        (["a.png", "--quality=-5%"], "0% to 100%"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_with_several_inputs_and_percents_are_one_line(arguments, said, work, compress):
    before = sorted(os.listdir(work))
    refused(compress(*arguments), said)
    assert sorted(os.listdir(work)) == before


@pytest.mark.parametrize(
    ("text", "quality"), [("0%", 1), ("100%", 8), ("50 %", 4.5), ("2.5", 2.5), ("12.5%", 1.875)]
)
def test_percents_go_evenly_from_the_lowest_quality_to_the_highest(text, quality):
    assert quality_of(text) == quality
