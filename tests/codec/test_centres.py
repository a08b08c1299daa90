"""GC and SC as codecs: symbols exact, files below the bound, hostile files refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import tfhific
from tfhific.bitstream import container
from tfhific.bitstream.kept import Kept
from tfhific.codec.centre_prior import context_rows, row_of
from tfhific.codec.sizes import fitting_size
from tfhific.errors import BitstreamError, ImageError, ModelError, TfhificError
from tfhific.pictures.resampling import mirrored

NAMES = ("gc", "gc-hyper", "noisy", "sent", "sc", "sc-hyper")


@pytest.fixture(scope="module")
def extras(label_picture):
    """What a model takes beside a picture of a size."""

    def of(name, size):
        labels = label_picture(*size, 5)
        kept = Kept((2, 3), ((0, 0, min(20, size[1]), min(9, size[0])),))
        return {
            "sent": {"labels": labels},
            "sc": {"labels": labels, "kept": kept},
        }.get(name.partition("-")[0], {})

    return of


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (37, 90), (128, 96)])
def test_decoded_centres_and_labels_are_the_encoded_ones(name, size, whole_codec, extras, photo):
    codec, image, extra = whole_codec(name), photo(*size), extras(name, size)
    data = codec.compress(image, **extra)
    contents = codec.unpack(data)
    symbols = codec.decode_symbols(data)
    expected = codec.symbols_of(image)
    if "kept" in extra:
        blocks = codec.kept_places(contents, extra["labels"])
        assert blocks.sum() > 0
        expected = expected * blocks[..., None]
    np.testing.assert_array_equal(symbols, expected)
    if "labels" in extra:
        np.testing.assert_array_equal(codec.decode_labels(data), extra["labels"])
    decoded = codec.decompress(data)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, codec.decompress(data))
    assert codec.holds(data, image)


def test_codec_does_what_the_trained_model_does(extreme_models, whole_codec, photo):
    image = photo(64, 96, seed=3)
    made = extreme_models["gc"](image[None]).numpy()[0]
    codec = whole_codec("gc")
    decoded = codec.decompress(codec.compress(image))
    # Published kernels have half precision; a centre may flip here and there.
    difference = np.abs((made + 1.0) * 127.5 - decoded)
    assert np.median(difference) < 2.0


def test_files_are_below_the_fixed_length_bound_and_context_helps(whole_codec, photo):
    image = photo(256, 384, seed=2)
    sizes = {name: len(whole_codec(name).compress(image)) for name in ("gc", "gc-hyper")}
    bound = whole_codec("gc").bound_bits(image.shape[:2]) / 8
    assert bound == pytest.approx(16 * 24 * 4 * np.log2(5) / 8)
    assert sizes["gc"] < bound
    assert sizes["gc-hyper"] < bound


@pytest.mark.parametrize("implementation", ["native", "python", "graph"])
def test_any_implementation_of_the_coder_reads_the_file(
    implementation, whole_models_folder, whole_codec, photo
):
    from tfc_port import coding

    if implementation not in coding.available():
        pytest.skip("not here")
    image = photo(64, 64)
    data = whole_codec("gc").compress(image)
    other = tfhific.load(whole_models_folder / "gc", coder=implementation)
    np.testing.assert_array_equal(other.decode_symbols(data), whole_codec("gc").symbols_of(image))


def test_context_of_a_symbol_is_what_is_decoded_before_it():
    symbols = np.arange(12).reshape(2, 3, 2) % 5
    kept = np.array([[True, False, True], [True, True, True]])
    rows = context_rows(symbols.astype(np.int32), kept, 5)
    assert rows[0, 0, 0] == row_of(0, 5, 5, 5, 5)
    assert rows[1, 1, 1] == row_of(1, symbols[1, 0, 1], 5, symbols[1, 1, 0], 5)
    assert rows[1, 2, 0] == row_of(0, symbols[1, 1, 0], symbols[0, 2, 0], 5, 5)


def test_only_the_kept_region_costs_bits(whole_codec, label_picture, photo):
    codec, image = whole_codec("sc"), photo(256, 256)
    labels = label_picture(256, 256, 5)
    small = codec.unpack(codec.compress(image, labels=labels, kept=Kept((), ((0, 0, 32, 32),))))
    large = codec.unpack(codec.compress(image, labels=labels, kept=Kept((), ((0, 0, 256, 256),))))
    assert len(small.y) < len(large.y) / 4


def test_synthesised_region_follows_the_map_alone(whole_codec, label_picture, photo):
    codec, labels = whole_codec("sc"), label_picture(128, 128, 5)
    kept = Kept((), ((0, 0, 16, 16),))
    one, other = photo(128, 128, 1), photo(128, 128, 2)
    other[:16, :16] = one[:16, :16]
    files = [codec.compress(image, labels=labels, kept=kept) for image in (one, other)]
    symbols = [codec.decode_symbols(data) for data in files]
    # An encoder's normalisation sees the whole picture, so that even the kept code may differ.
    assert not symbols[0][2:, 2:].any()
    assert not symbols[1][2:, 2:].any()


def test_alpha_and_metadata_travel_along(whole_codec, photo):
    from tfhific.pictures.images import Picture

    picture = Picture(photo(40, 50), np.arange(2000, dtype=np.uint8).reshape(40, 50), b"icc", None)
    back = whole_codec("gc").decompress_picture(whole_codec("gc").compress_picture(picture))
    np.testing.assert_array_equal(back.alpha, picture.alpha)
    assert back.icc == b"icc"


def test_a_new_process_decodes_the_same(
    whole_codec, whole_models_folder, photo, tmp_path, run_python
):
    codec, image = whole_codec("noisy"), photo(48, 80)
    (tmp_path / "a.tfh").write_bytes(codec.compress(image))
    program = (
        "import sys, tfhific, numpy as np;"
        "codec = tfhific.load(sys.argv[1]);"
        "np.save(sys.argv[3], codec.decompress(open(sys.argv[2], 'rb').read()))"
    )
    done = run_python(
        "-c", program, whole_models_folder / "noisy", tmp_path / "a.tfh", tmp_path / "b.npy"
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(
        np.load(tmp_path / "b.npy"), codec.decompress((tmp_path / "a.tfh").read_bytes())
    )


def test_a_file_of_sc_given_to_gc_is_refused_by_name(whole_codec, label_picture, photo):
    labels = label_picture(64, 64, 5)
    data = whole_codec("sc").compress(photo(64, 64), labels=labels, kept=Kept((1,)))
    with pytest.raises(BitstreamError, match=r"selective compression \(sc\).*this is gc"):
        whole_codec("gc").decompress(data)
    with pytest.raises(BitstreamError, match="made by the model"):
        whole_codec("sc").decompress(whole_codec("gc").compress(photo(64, 64)))


def test_missing_and_wrong_side_information_is_refused(whole_codec, label_picture, photo):
    image, labels = photo(64, 64), label_picture(64, 64, 5)
    with pytest.raises(ImageError, match="`labels`"):
        whole_codec("sent").compress(image)
    with pytest.raises(ImageError, match="`kept`"):
        whole_codec("sc").compress(image, labels=labels)
    with pytest.raises(ImageError, match=r"64x64 pixels\. Received: 64x63"):
        whole_codec("sent").compress(image, labels=labels[:63])
    with pytest.raises(ImageError, match="classes from 0 to 4"):
        whole_codec("sent").compress(image, labels=labels + 5)
    with pytest.raises(TfhificError, match="nothing else"):
        whole_codec("gc").compress(image, labels=labels)
    with pytest.raises(TfhificError, match="one rate"):
        whole_codec("gc").compress(image, 5.0)


def test_whole_pictures_are_never_tiled_and_too_large_ones_name_the_size_that_fits(
    whole_models_folder,
):
    with pytest.raises(TfhificError, match="`tile`"):
        tfhific.load(whole_models_folder / "gc", tile=512)
    codec = tfhific.load(whole_models_folder / "gc", max_pixels=10**10)
    limit = codec.whole_pixels
    side = int(limit**0.5) + 1
    huge = np.broadcast_to(np.zeros(1, np.uint8), [side, 4 * side, 3])
    tall, wide = fitting_size(side, 4 * side, limit)
    assert tall * wide <= limit
    with pytest.raises(ImageError, match=f"such as {wide}x{tall}"):
        codec.compress(huge)
    contents = container.Contents(codec.fingerprint, side, 4 * side, 0, b"", b"x" * 50)
    with pytest.raises(BitstreamError, match=f"such as {wide}x{tall}"):
        codec.decompress(container.pack(contents))


def _changed(data: bytes, **fields) -> bytes:
    return container.pack(dataclasses.replace(container.unpack(data), **fields))


def test_hostile_files_are_refused(whole_codec, label_picture, photo):
    codec, image = whole_codec("gc"), photo(64, 64)
    data = codec.compress(image)
    for fields, message in (
        ({"y": b""}, "can't hold|can't be decoded"),
        ({"height": 1000, "width": 1000}, "can't hold"),
        ({"z": b"xx"}, "hyperlatents"),
        ({"labels": b"\x01\x05"}, "label map"),
        ({"kept": b"\x00\x00"}, "kept region"),
        ({"y": codec.unpack(data).y + bytes(99)}, "can't be decoded"),
    ):
        with pytest.raises(BitstreamError, match=message):
            codec.decompress(_changed(data, **fields))
    # A symbol beyond the centres, by way of the coder's escapes.
    from tfc_port import coding

    tables = codec.published.tables["code"]
    values = np.array([7] + [0] * 63, np.int32)
    rows = np.tile(np.arange(4, dtype=np.int32), 16)
    payload = coding.encode(values, rows, tables, streams=1)
    with pytest.raises(BitstreamError, match="5 centres"):
        codec.decompress(_changed(data, y=payload, y_streams=1))
    labels = label_picture(64, 64, 5)
    selective = whole_codec("sc")
    data = selective.compress(image, labels=labels, kept=Kept((1,)))
    for fields in ({"labels": None}, {"kept": None}, {"kept": b"\x01\x09\x00"}, {"y": b""}):
        with pytest.raises(BitstreamError):
            selective.decompress(_changed(data, **fields))


@pytest.mark.parametrize("name", ["gc", "gc-hyper", "sc-hyper"])
def test_changed_bytes_never_do_worse_than_an_error(name, whole_codec, label_picture, photo):
    codec, image = whole_codec(name), photo(40, 40)
    extra = {}
    if name.startswith("sc"):
        extra = {"labels": label_picture(40, 40, 5), "kept": Kept((1,))}
    contents = codec.unpack(codec.compress(image, **extra))
    rng = np.random.default_rng(4)
    for _ in range(40):
        y = bytearray(contents.y)
        y[int(rng.integers(len(y)))] = int(rng.integers(256))
        hurt = container.pack(dataclasses.replace(contents, y=bytes(y)))
        try:
            symbols = codec.decode_symbols(hurt)
        except BitstreamError:
            continue
        assert symbols.min() >= 0
        assert symbols.max() < 5


def test_damaged_models_are_refused(whole_models_folder, tmp_path):
    data = bytearray((whole_models_folder / "gc" / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        tfhific.load(tmp_path)


def test_collapsed_centres_are_not_published(extreme_models):
    from tfhific.publishing.centres import publish_extreme

    model = extreme_models["gc"]
    before = model.quantizer.centres.numpy()
    try:
        model.quantizer.centres.assign([0.0, 0.0, 0.0, 1.0, 2.0])
        with pytest.raises(ModelError, match="collapsed"):
            publish_extreme(model, "x")
        model.quantizer.centres.assign(before)
        with pytest.raises(ModelError, match="`data`"):
            publish_extreme(model, "x", prior="hyper")
    finally:
        model.quantizer.centres.assign(before)


@pytest.mark.parametrize(("side", "target"), [(1, 5), (2, 9), (5, 5), (7, 40)])
def test_mirroring_repeats_no_edge(side, target):
    found = mirrored(side, target)
    assert len(found) == target
    np.testing.assert_array_equal(found[:side], np.arange(side))
    if side > 1:
        assert np.all(np.abs(np.diff(found)) == 1)


def test_folded_layers_compute_what_keras_computes():
    from tfhific.backend import keras
    from tfhific.models.addons import instance_normalization
    from tfhific.models.extreme_networks import ReflectionPad
    from tfhific.publishing.fold import fold

    network = keras.Sequential(
        [
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Reshape([4, 4, 2]),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Conv2DTranspose(3, 4, 2, "same"),
            instance_normalization(),
            ReflectionPad(2),
            keras.layers.Conv2D(4, 5, activation="sigmoid"),
            keras.layers.Conv2D(2, 3, 2, "same", use_bias=False),
            keras.layers.Activation("tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    x = tf.random.stateless_normal([2, 7], [1, 2])
    network(x)
    rng = np.random.default_rng(0)
    network.set_weights(
        [w + rng.random(w.shape).astype(w.dtype) / 4 for w in network.get_weights()]
    )
    np.testing.assert_allclose(fold(network, "net")(x), network(x), atol=1e-5)
