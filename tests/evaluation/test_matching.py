"""A search gives the best file that keeps to its target, or says that none does."""

from __future__ import annotations

import pytest

from tfhific.errors import TfhificError
from tfhific.evaluation.codecs import CodecSpec, open_codec
from tfhific.evaluation.matching import Target, match, parse_targets
from tfhific.evaluation.metrics import psnr


def test_targets_are_read_in_order():
    assert parse_targets("bpp:.4,.1, .1") == (Target("bpp", 0.1), Target("bpp", 0.4))
    assert [str(target) for target in parse_targets("psnr:30,32.5")] == ["psnr:30", "psnr:32.5"]


@pytest.mark.parametrize("text", ["", "bpp", "bpp:", "bpp:x", "bpp:-1", "bpp:nan", "mse:3", "30"])
def test_other_targets_are_told(text):
    with pytest.raises(TfhificError, match=r"bpp:\.1"):
        parse_targets(text)


@pytest.mark.parametrize("name", ["jpeg", "webp"])
@pytest.mark.parametrize("bpp", [0.7, 1.5])
def test_file_is_the_largest_within_the_size(name, bpp, photo):
    codec, pixels = open_codec(CodecSpec(name, (name,))), photo(96, 128)
    found = match(codec, pixels, Target("bpp", bpp))
    limit = bpp * 96 * 128 / 8
    assert found.reached
    assert len(found.data) <= limit
    assert found.data == codec.encode(pixels, found.setting)
    assert len(codec.encode(pixels, found.setting + 1)) > limit


def test_model_is_within_a_step_of_the_size(tiny_search, photo):
    codec, pixels = open_codec(CodecSpec("tiny", ("tiny",))), photo(128, 128)
    sizes = [len(codec.encode(pixels, quality)) for quality in (3.0, 4.0)]
    bpp = 8 * sum(sizes) / 2 / 128**2
    found = match(codec, pixels, Target("bpp", bpp))
    assert found.reached
    assert 3 < found.setting < 4
    assert 0.97 * bpp <= 8 * len(found.data) / 128**2 <= bpp


def test_lowest_setting_of_the_psnr_is_found(photo):
    codec, pixels = open_codec(CodecSpec("jpeg", ("jpeg",))), photo(96, 128)
    found = match(codec, pixels, Target("psnr", 33.0))
    assert found.reached
    assert psnr(pixels, codec.decode(found.data)) >= 33
    assert psnr(pixels, codec.decode(codec.encode(pixels, found.setting - 1))) < 33


def test_few_settings_are_all_tried(steps, photo):
    pixels = photo(32, 32)
    found = match(steps, pixels, Target("psnr", 30.0))
    ratios = {s: psnr(pixels, steps.decode(steps.encode(pixels, s))) for s in steps.settings}
    assert found.setting == min(s for s, ratio in ratios.items() if ratio >= 30)
    sizes = {s: 8 * len(steps.encode(pixels, s)) / 32**2 for s in steps.settings}
    assert match(steps, pixels, Target("bpp", sizes[4] + 1e-9)).setting == 4


def test_targets_out_of_reach_give_the_nearest_file_and_say_so(steps, photo):
    pixels = photo(64, 64)
    for codec in (steps, open_codec(CodecSpec("jpeg", ("jpeg",)))):
        small = match(codec, pixels, Target("bpp", 0.001))
        assert (small.setting, small.reached) == (codec.settings[0], False)
        good = match(codec, pixels, Target("psnr", 90.0))
        assert (good.setting, good.reached) == (codec.settings[-1], False)
