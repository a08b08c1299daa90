"""Every system by the one interface: codecs, qualities, bounds, verification, and its entry."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import tfhific
from tfhific import systems
from tfhific.bitstream import container
from tfhific.bitstream.kept import Kept
from tfhific.codec.base import Codec
from tfhific.codec.encoded import Encoded
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.codec.inversion_search import SearchOptions
from tfhific.errors import ArgumentError, ModelError, TfhificError
from tfhific.pictures.images import Picture
from tfhific.published.store import load_model, save_model
from tfhific.publishing.options import PublishOptions

CODED = tuple(name for name, entry in systems.SYSTEMS.items() if entry.codec)
SERVED = tuple(name for name in CODED if systems.SYSTEMS[name].graph)
SIZE = (16, 24)
SMALL = {
    "hific": ({}, "hific-tiny"),
    "mini2": (
        {
            "latent_channels": 16,
            "hyper_channels": 6,
            "width": 12,
            "encoder_blocks": 1,
            "decoder_blocks": 1,
            "fine_channels": 4,
            "context_channels": 8,
        },
        None,
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, whole_models_folder, tiny_model_folder):
    """The folder of a small published model of each system."""
    import tensorflow as tf

    from tfhific.backend import keras
    from tfhific.publishing.hyperprior import publish

    found = {name: whole_models_folder / name for name in ("gc", "sc", "inversion", "cgan")}
    found["mini"] = tiny_model_folder
    for name, (settings, preset) in SMALL.items():
        keras.utils.set_random_seed(4)
        model = systems.create(name, systems.configuration(name, settings, preset))
        model(tf.zeros([1, 64, 64, 3]))
        found[name] = tmp_path_factory.mktemp("systems") / name
        save_model(publish(model, name, {"system": name}), found[name])
    return found


@pytest.fixture(params=CODED)
def codec(request, folders) -> Codec:
    return tfhific.load(folders[request.param])


@pytest.fixture
def side(codec, label_picture) -> dict:
    """What a codec takes beside a picture of the size."""
    offered = {
        "labels": label_picture(*SIZE, 5),
        "kept": Kept((), ((0, 0, 16, 16),)),
        "search": SearchOptions(steps=2, restarts=1),
        "label": None,
    }
    return {name: offered[name] for name in codec.needs}


def test_a_codec_does_what_the_interface_says(codec, side, photo):
    picture = Picture(photo(*SIZE), alpha=photo(*SIZE, seed=1)[..., 0], exif=b"Exif\0\0MM")
    assert isinstance(codec, Codec)
    encoded = codec.encode(picture.pixels, **side)
    assert isinstance(encoded, Encoded)
    assert encoded.size == SIZE
    np.testing.assert_array_equal(codec.decode_code(codec.unpack(encoded.data)), encoded.code)
    decoded = codec.decompress(encoded.data)
    assert (decoded.shape, decoded.dtype) == ((*SIZE, 3), np.uint8)
    np.testing.assert_array_equal(decoded, codec.reconstruct(encoded))
    data = codec.compress_picture(picture, **side)
    back = codec.decompress_picture(data)
    np.testing.assert_array_equal(back.pixels, decoded)
    np.testing.assert_array_equal(back.alpha, picture.alpha)
    assert back.exif == picture.exif
    assert codec.fits(*SIZE)
    assert not codec.fits(1 << 20, 1 << 20)


def test_a_file_is_verified_against_its_picture_and_no_other(codec, side, photo):
    picture = Picture(photo(*SIZE), alpha=photo(*SIZE, seed=1)[..., 0])
    data = codec.compress_picture(picture, **side)
    assert codec.holds(data, picture.pixels)
    np.testing.assert_array_equal(codec.verify(data, picture).pixels, codec.decompress(data))
    other = dataclasses.replace(picture, pixels=photo(SIZE[0] + 1, SIZE[1], seed=9))
    if "labels" not in codec.needs:  # there a map of the other size is missing, an error too
        assert not codec.holds(data, other.pixels)
    for wrong in (other, dataclasses.replace(picture, alpha=255 - picture.alpha)):
        with pytest.raises(TfhificError):
            codec.verify(data, wrong)


def test_a_quality_means_the_same_in_every_system(
    codec, side, photo, folders, call_script, tmp_path
):
    from tfhific.pictures.images import write_png

    image = photo(*SIZE)
    for wrong in (0.99, 8.5, float("nan")):
        with pytest.raises(ArgumentError):
            codec.compress(image, wrong, **side)
    write_png(image, tmp_path / "a.png")
    folder = f"--model={folders[codec.published.system]}"
    if not codec.rates.single:
        default, better = codec.compress(image, **side), codec.compress(image, 7.5, **side)
        assert (codec.quality_of(default), codec.quality_of(better)) == (5.0, 7.5)
        return
    with pytest.raises(ArgumentError, match=r"has one rate.* leave `quality` out"):
        codec.compress(image, 5.0, **side)
    with pytest.raises(ArgumentError, match="one rate"):
        codec.compress_picture(Picture(image), 5.0, **side)
    with pytest.raises(ArgumentError, match="one rate"):
        codec.estimate_bpp(image, 5.0)
    data = codec.compress(image, **side)
    assert codec.quality_of(data) is None
    assert container.unpack(data).quality_code == 0
    if not {"labels", "kept"} & set(codec.needs):
        done = call_script("compress", tmp_path / "a.png", folder, "--quality=3")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "has one rate" in done.err
        assert "leave --quality out" in done.err
        assert not (tmp_path / "a.tfh").exists()


@pytest.mark.parametrize("name", SERVED)
def test_a_quality_means_the_same_in_a_served_model(name, folders):
    from tfhific.serving.signatures import Served

    published = load_model(folders[name])
    if published.single_rate:
        with pytest.raises(ArgumentError, match="has one rate"):
            Served(published, quality=5.0)
    else:
        with pytest.raises(ArgumentError, match="1 to 8"):
            Served(published, quality=9.0)


def test_the_largest_quality_within_a_bound_is_found_or_the_bound_refused(codec, side, photo):
    picture = Picture(photo(*SIZE))
    size = len(codec.compress_to(picture, max_bpp=1e300, **side))
    assert len(codec.compress_to(picture, max_bytes=size, **side)) <= size
    with pytest.raises(TfhificError, match=r"10 bytes can't be reached.* takes \d+ bytes"):
        codec.compress_to(picture, max_bytes=10, **side)
    for bounds in ({}, {"max_bytes": 9, "max_bpp": 1.0}, {"max_bytes": 0}, {"max_bpp": -1.0}):
        with pytest.raises(ArgumentError):
            codec.compress_to(picture, **bounds, **side)


def test_what_a_model_does_not_take_is_refused(codec, side, photo):
    with pytest.raises(TfhificError, match=r"takes .*Received: colour"):
        codec.compress(photo(*SIZE), colour=3, **side)


@pytest.mark.parametrize("name", CODED)
def test_saving_a_loaded_model_gives_the_same_bytes(name, folders, tmp_path):
    save_model(load_model(folders[name]), tmp_path)
    file = "model.safetensors"
    assert (tmp_path / file).read_bytes() == (folders[name] / file).read_bytes()


def test_a_model_that_is_not_what_its_system_holds_is_refused(folders, tmp_path):
    for name, claimed in (("mini", "gc"), ("gc", "mini"), ("mini", "cgan")):
        save_model(dataclasses.replace(load_model(folders[name]), system=claimed), tmp_path)
        with pytest.raises(ModelError, match=f"of {claimed}"):
            tfhific.load(tmp_path)


class OwnCodec(HyperpriorCodec):
    """A codec of a system of one's own."""


def test_one_entry_makes_a_system_known_to_codecs_and_publishing(
    tiny_published, tmp_path, monkeypatch
):
    entry = systems.System(
        "tfhific.models.mini:MiniConfig",
        "tfhific.models.mini:Mini",
        codec=f"{__name__}:OwnCodec",
        graph="",
        trainable="",
    )
    monkeypatch.setitem(systems.SYSTEMS, "own", entry)
    save_model(dataclasses.replace(tiny_published, system="own"), tmp_path)
    codec = tfhific.load(tmp_path)
    assert type(codec) is OwnCodec
    with pytest.raises(TfhificError, match="can't be exported"):
        systems.graph_class(codec.published)
    with pytest.raises(TfhificError, match="can't be trained further"):
        _ = codec.model
    assert callable(systems.publisher("own"))


@pytest.mark.parametrize("name", CODED)
def test_what_a_system_has_no_use_for_is_refused_when_it_is_published(name):
    takes = {"gc": {"prior"}, "sc": {"prior"}, "inversion": set(), "cgan": set()}
    asked = {"stretch": 1.5, "prior": "hyper", "dead_zone": 0.01, "stream_of": "folder"}
    refused = set(asked) - takes.get(name, {"stretch", "dead_zone", "stream_of"})
    for option in refused:
        options = PublishOptions(**{option: asked[option]})
        with pytest.raises(ModelError, match=f"`{option}`: not for {name}"):
            systems.publisher(name)(None, "x", {"system": name}, options)


def test_every_entry_names_what_is_there():
    from tfhific.serving.graph.base import GraphCodec

    for name, entry in systems.SYSTEMS.items():
        places = dataclasses.asdict(entry)
        found = {part: systems.part(place) for part, place in places.items() if place}
        assert dataclasses.is_dataclass(found["config"]), name
        if entry.codec:
            assert issubclass(found["codec"], Codec), name
            assert callable(found["publisher"]), name
        if entry.graph:
            assert issubclass(found["graph"], GraphCodec), name


def test_the_table_of_systems_loads_nothing_heavy(run_python):
    done = run_python(
        "-c",
        "import sys, tfhific, tfhific.systems\n"
        "heavy = ('numpy', 'tensorflow', 'keras', 'PIL', 'safetensors')\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
        "own = {name for name in sys.modules if name.startswith('tfhific')}\n"
        "light = {'tfhific', 'tfhific.errors', 'tfhific.systems', 'tfhific.version'}\n"
        "assert own == light, own\n",
    )
    assert done.returncode == 0, done.stderr.decode()
