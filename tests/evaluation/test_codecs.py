"""Codecs are found by what users type, and know their settings and versions."""

from __future__ import annotations

import dataclasses
import math
import types

import numpy as np
import pytest

from tfhific.errors import ModelError, TfhificError
from tfhific.evaluation import classical, codecs
from tfhific.evaluation.codecs import CLASSICAL, CodecSpec, open_codec, parse_codecs


def test_names_folders_labels_and_joined_models_are_read():
    specs = parse_codecs(["jpeg", "models/mine-v1/", "b=mini", "all=lo+mi+hi"])
    assert [(spec.label, spec.members) for spec in specs] == [
        ("jpeg", ("jpeg",)),
        ("mine-v1", ("models/mine-v1/",)),
        ("b", ("mini",)),
        ("all", ("lo", "mi", "hi")),
    ]


def test_an_effort_and_weights_stand_behind_a_models_name():
    specs = parse_codecs(["mini@4", "x/mini@9@a/b@c.npz", "me@home", "b=mini@10"])
    assert [(spec.label, codecs.Member.parse(spec.members[0])) for spec in specs] == [
        ("mini@4", ("mini", 4, None)),
        ("mini@9", ("x/mini", 9, "a/b@c.npz")),
        ("me@home", ("me@home", None, None)),
        ("b", ("mini@10", None, None)),
    ]


def test_a_codec_with_effort_writes_its_files_and_has_a_version_of_its_own(
    tiny_published, tmp_path, photo, small_lpips
):
    from tfhific.codec.hyperprior import HyperpriorCodec
    from tfhific.published.store import save_model

    weights = {"config": {"lambda_min": 0.0008, "lambda_max": 0.03}}
    published = dataclasses.replace(tiny_published, training=weights)
    save_model(published, tmp_path / "tiny")
    image, codec, versions = photo(48, 64), HyperpriorCodec(published), set()
    for text, options in (
        ("", {}),
        ("@2", {"effort": 2}),
        (f"@5@{small_lpips}", {"effort": 5, "lpips": small_lpips}),
    ):
        opened = open_codec(parse_codecs([f"{tmp_path / 'tiny'}{text}"])[0])
        assert opened.encode(image, 4.0) == codec.compress(image, 4, **options)
        assert math.isnan(opened.estimate_bpp(image, 4.0)) == bool(options)
        versions.add(opened.version)
    assert len(versions) == 3
    for text, said in ((f"@2@{small_lpips}", "goes with an"), ("@5@none.npz", "none.npz")):
        with pytest.raises(TfhificError, match=said):
            open_codec(parse_codecs([f"{tmp_path / 'tiny'}{text}"])[0])


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "at least one"),
        ([""], "NAME"),
        (["=mini"], "NAME"),
        (["a="], "NAME"),
        (["lo+hi"], "label"),
        (["a=lo++hi"], "NAME"),
        (["a=lo+lo"], "itself"),
        (["a=jpeg+mini"], "Only models"),
        (["mini", "mini"], "twice"),
        (["mini", "x/mini"], "twice"),
        ([3], "a int"),
    ],
)
def test_what_makes_no_codec_is_told(texts, said):
    with pytest.raises(TfhificError, match=said):
        parse_codecs(texts)


@pytest.mark.parametrize(
    ("ladders", "said"),
    [
        ({"webp": [1]}, "not among"),
        ({"jpeg": [0]}, "1 to 100"),
        ({"jpeg": [1.5]}, "whole"),
        ({"jpeg": []}, "none"),
        ({"mini": [8.5]}, "1 to 8"),
        ({"mini": [math.nan]}, "1 to 8"),
        ({"all": [1]}, "no ladder"),
    ],
)
def test_ladders_are_checked_before_anything_is_loaded(ladders, said):
    with pytest.raises(TfhificError, match=said):
        parse_codecs(["jpeg", "mini", "all=lo+hi"], ladders)


def test_ladder_is_sorted_and_taken(tiny_search):
    spec, other = parse_codecs(["jpeg", "tiny"], {"jpeg": [50, 5, 5], "tiny": [3.5, 2]})
    assert open_codec(spec).ladder == (5, 50)
    assert open_codec(other).ladder == (2.0, 3.5)


@pytest.mark.parametrize("name", sorted(CLASSICAL))
def test_classical_codecs_have_eight_points_by_rising_size(name, photo):
    if name in codecs.missing_classical():
        pytest.skip(f"this Pillow writes no {name}")
    codec = open_codec(CodecSpec(name, (name,)))
    files = [codec.encode(photo(96, 96), setting) for setting in codec.ladder]
    assert len(files) == 8
    assert sorted(map(len, files)) == list(map(len, files))
    assert codec.decode(files[0]).shape == (96, 96, 3)
    assert math.isnan(codec.estimate_bpp(photo(96, 96), 50))
    assert "Pillow" in codec.version


def test_plain_jpeg_is_the_same_picture_in_more_bytes(photo):
    plain, jpeg = (open_codec(CodecSpec(name, (name,))) for name in ("jpeg-plain", "jpeg"))
    a, b = (codec.encode(photo(96, 96), 30) for codec in (plain, jpeg))
    assert len(a) > len(b)
    np.testing.assert_array_equal(plain.decode(a), jpeg.decode(b))


def test_codec_that_pillow_lacks_is_told(monkeypatch):
    monkeypatch.setattr(classical, "available", lambda: {"JPEG": classical.encode_jpeg})
    assert codecs.missing_classical() == ["webp", "jpeg2000", "avif"]
    with pytest.raises(TfhificError, match="writes no avif"):
        open_codec(CodecSpec("avif", ("avif",)))


def test_model_has_its_files_versions_and_settings(tiny_codec, tiny_model_folder, photo):
    codec = open_codec(CodecSpec("tiny", (str(tiny_model_folder),)))
    assert codec.ladder == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    assert (codec.settings[0], codec.settings[-1]) == (1.0, 8.0)
    assert codec.version.startswith(tiny_codec.fingerprint.hex() + "-")
    data = codec.encode(photo(64, 64), 3.0)
    assert data == tiny_codec.compress(photo(64, 64), 3.0)
    np.testing.assert_array_equal(codec.decode(data), tiny_codec.decompress(data))
    assert codec.estimate_bpp(photo(64, 64), 3.0) == tiny_codec.estimate_bpp(photo(64, 64), 3.0)


def test_version_changes_with_the_synthesis_alone(tiny_published, tiny_model_folder, tmp_path):
    from tfhific.published.store import save_model

    network = tiny_published.networks["synthesis"]
    name = next(name for name in network.weights if name.endswith("bias"))
    weights = {**network.weights, name: network.weights[name] + np.float16(1)}
    changed = dataclasses.replace(network, weights=weights)
    networks = {**tiny_published.networks, "synthesis": changed}
    other = dataclasses.replace(tiny_published, networks=networks)
    save_model(other, tmp_path / "other")
    first, second = (
        open_codec(CodecSpec("x", (str(folder),))).version
        for folder in (tiny_model_folder, tmp_path / "other")
    )
    assert first.split("-")[0] == second.split("-")[0]
    assert first != second


def test_unknown_model_is_told(tiny_search):
    with pytest.raises(ModelError, match="huge"):
        open_codec(CodecSpec("huge", ("huge",)))


class Fixed:
    """Stands in for a published model of one rate."""

    single_rate = True

    def __init__(self, name, keep):
        self.name, self._keep, self.fingerprint = name, keep, name.encode()

    def compress(self, image, quality=None):
        if quality is not None:
            raise ValueError("one rate")
        return self.name.encode() + bytes(self._keep * image.size // 8)

    def estimate_bpp(self, image, quality=None):
        return math.nan

    def decompress(self, data):
        from tfhific.errors import BitstreamError

        if not data.startswith(self.name.encode()):
            raise BitstreamError("made by another model")
        return np.full((8, 8, 3), self._keep, np.uint8)


def test_codec_that_lacks_something_is_refused_by_its_name(steps):
    assert codecs.parse_codecs([steps])[0].given is steps
    with pytest.raises(TfhificError, match=r"a SimpleNamespace, which lacks decode, .*version"):
        codecs.parse_codecs([types.SimpleNamespace(name="mine", encode=steps.encode)])


@pytest.fixture
def fixed_models(monkeypatch):
    import tfhific

    models = {"lo": Fixed("lo", 1), "mi": Fixed("mi", 2), "hi": Fixed("hi", 3)}
    monkeypatch.setattr(tfhific, "load", models.__getitem__)
    monkeypatch.setattr(codecs, "_model_version", lambda model, codec: model)


def test_model_of_one_rate_is_one_point(fixed_models, photo):
    codec = open_codec(CodecSpec("lo", ("lo",)))
    assert codec.ladder == codec.settings == ("fixed",)
    assert codec.encode(photo(8, 8), "fixed").startswith(b"lo")
    assert math.isnan(codec.estimate_bpp(photo(8, 8), "fixed"))


@pytest.mark.parametrize("single", [True, False])
def test_whether_a_model_has_one_rate_is_what_it_says_and_costs_no_file(single, monkeypatch):
    import tfhific

    def compress(*_):
        raise AssertionError("nothing was to be compressed")

    model = types.SimpleNamespace(name="m", single_rate=single, compress=compress)
    monkeypatch.setattr(tfhific, "load", lambda name: model)
    monkeypatch.setattr(codecs, "_model_version", lambda name, codec: "1")
    codec = open_codec(CodecSpec("m", ("m",)))
    assert codec.fixed_rate is single
    assert len(codec.ladder) == (1 if single else 8)


def test_models_of_whole_pictures_say_that_they_have_one_rate(whole_codec, tiny_codec):
    assert whole_codec("gc").single_rate
    assert whole_codec("inversion").single_rate
    assert not tiny_codec.single_rate


def test_joined_models_are_points_of_one_curve(fixed_models, photo):
    codec = open_codec(CodecSpec("all", ("lo", "mi", "hi")))
    assert codec.ladder == ("lo", "mi", "hi")
    assert codec.version == "lo+mi+hi"
    files = {setting: codec.encode(photo(8, 8), setting) for setting in codec.ladder}
    # Each is decoded by its own model, whichever wrote last.
    assert [codec.decode(files[name])[0, 0, 0] for name in ("lo", "hi", "mi")] == [1, 3, 2]
