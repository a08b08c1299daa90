"""The decoder gives what the encoder predicted; bad input is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math

import numpy as np
import pytest
from PIL import Image

import tfhific
from tfc_port import coding
from tfhific.bitstream import container
from tfhific.bitstream.checksum import checksum
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import BitstreamError, ImageError
from tfhific.pictures.images import Picture

SIZES = [(1, 1), (1, 37), (37, 1), (17, 16), (16, 16), (63, 65), (127, 65), (1, 4096)]
QUALITIES = [1, 3.7, 8]


@pytest.fixture(scope="module")
def cases(photo, tiny_codec):
    """The picture, the quality and what the encoder says, for every size and quality."""
    found = {}
    for size in SIZES:
        image = photo(*size)
        for quality in QUALITIES:
            found[size, quality] = image, tiny_codec.encode(image, quality)
    return found


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_decoder_gives_what_the_encoder_predicted(size, quality, cases, tiny_codec):
    image, coded = cases[size, quality]
    decoded = tiny_codec.decompress(coded.data)
    assert decoded.dtype == np.uint8
    assert decoded.shape == image.shape
    np.testing.assert_array_equal(decoded, tiny_codec.reconstruct(coded))
    assert tiny_codec.compress(image, quality) == coded.data


PROGRAM = """
import hashlib, sys
import numpy as np
import tfhific
codec = tfhific.load(sys.argv[1])
with np.load(sys.argv[2]) as files:
    for name in files:
        image = codec.decompress(files[name].tobytes())
        print(name, image.shape, hashlib.sha256(image.tobytes()).hexdigest())
"""


def test_new_process_decodes_to_the_same(
    cases, tiny_codec, tiny_model_folder, run_python, tmp_path
):
    expected, files = [], {}
    for number, (_, coded) in enumerate(cases.values()):
        image = tiny_codec.reconstruct(coded)
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        expected.append(f"f{number} {image.shape} {digest}")
        files[f"f{number}"] = np.frombuffer(coded.data, np.uint8)
    np.savez(tmp_path / "files.npz", **files)
    done = run_python("-c", PROGRAM, tiny_model_folder, tmp_path / "files.npz")
    assert done.stdout.decode().splitlines() == expected, done.stderr.decode()


@pytest.mark.parametrize("size", [(64, 64), (192, 256)])
@pytest.mark.parametrize("quality", [1, 3.7, 5])
def test_file_takes_no_more_than_the_float_model_estimates(size, quality, tiny_codec, photo):
    image = photo(*size, seed=4)
    estimated = tiny_codec.estimate_bpp(image, quality) * size[0] * size[1] / 8
    data = tiny_codec.compress(image, quality)
    assert len(data) <= 1.01 * estimated + 64
    # Without many escapes, which the float model overcharges, it can't take much less either.
    assert len(data) >= 0.97 * estimated


def test_estimate_is_minus_log2_of_the_rounded_latents_probability(tiny_published, photo):
    image, quality = photo(128, 64, seed=5), 4.25
    model = tiny_published
    run = model.networks

    gains = model.log_gain[3] + 0.25 * (model.log_gain[4] - model.log_gain[3])
    x = image[None].astype(np.float32) / 255 - 0.5
    y = run["analysis"](x).numpy() * np.exp(gains)
    z = np.rint(run["hyper_analysis"](y).numpy())
    rounded = np.rint(y - run["hyper_synthesis_mean"](z).numpy())
    raw = run["hyper_synthesis_scale"](z).numpy()
    index = np.clip(model.scale_gain * raw + model.scale_centre, 0, len(model.scales) - 1)
    ratio = math.log(model.scales[-1] / model.scales[0]) / (len(model.scales) - 1)
    scales = model.scales[0] * np.exp(ratio * index.astype(np.float64))
    bits = 0.0
    for value, scale in zip(np.abs(rounded).ravel(), scales.ravel()):
        low = math.erfc((value - 0.5) / scale / math.sqrt(2))
        bits -= math.log2((low - math.erfc((value + 0.5) / scale / math.sqrt(2))) / 2)
    for channel in range(z.shape[-1]):
        points = np.tile(z[..., channel].ravel(), (z.shape[-1], 1)).astype(np.float64)
        bits -= np.log2(model.density.mass(points)[channel]).sum()

    estimated = HyperpriorCodec(model).estimate_bpp(image, quality)
    assert estimated == pytest.approx(bits / (128 * 64), rel=1e-4)


def test_quality_raises_rate_and_fidelity(tiny_codec, photo):
    image = photo(96, 128, seed=6)
    sizes, errors = [], []
    for quality in (1, 3, 5, 7):
        data = tiny_codec.compress(image, quality)
        sizes.append(len(data))
        errors.append(np.mean((tiny_codec.decompress(data).astype(float) - image) ** 2))
        assert container.unpack(data).quality == quality
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_quality_between_two_trained_ones_is_another_file(tiny_codec, photo):
    image = photo(64, 64)
    files = {tiny_codec.compress(image, 3 + step / 4) for step in range(5)}
    assert len(files) == 5


@pytest.mark.parametrize("quality", [0.5, 8.01, -3, float("nan"), float("inf"), "best"])
def test_quality_that_is_none_is_refused(quality, tiny_codec, photo):
    image = photo(16, 16)
    for work in (tiny_codec.compress, tiny_codec.estimate_bpp):
        with pytest.raises(ValueError, match="from 1 to 8"):
            work(image, quality)


def test_without_a_quality_it_is_5(tiny_codec, photo):
    image = photo(16, 16)
    assert tiny_codec.compress(image) == tiny_codec.compress(image, None)
    assert tiny_codec.compress(image) == tiny_codec.compress(image, 5.0)


@pytest.mark.parametrize(
    "image",
    [
        None,
        "photo.jpg",
        np.zeros([16, 16, 3], np.float32),
        np.zeros([16, 16, 3], np.uint16),
        np.zeros([16, 16, 3], np.int64),
        np.zeros([16, 16, 4], np.uint8),
        np.zeros([16, 16, 2], np.uint8),
        np.zeros([1, 16, 16, 3], np.uint8),
        np.zeros([16], np.uint8),
        np.zeros([0, 16, 3], np.uint8),
        np.zeros([16, 0, 3], np.uint8),
        [[[0, 0]]],
    ],
    ids=range(12),
)
def test_what_is_no_picture_is_refused(image, tiny_codec):
    for work in (tiny_codec.compress, tiny_codec.estimate_bpp):
        with pytest.raises(ImageError) as caught:
            work(image)
        assert "\n" not in str(caught.value)


def test_grey_array_is_taken_as_rgb(tiny_codec, photo):
    grey = photo(20, 30)[..., 0]
    rgb = np.repeat(grey[..., None], 3, axis=-1)
    assert tiny_codec.compress(grey) == tiny_codec.compress(rgb)


def test_memory_order_of_the_array_does_not_matter(tiny_codec, photo):
    image = photo(40, 24)
    expected = tiny_codec.compress(image)
    assert tiny_codec.compress(np.asfortranarray(image)) == expected
    assert tiny_codec.compress(image[:, ::-1][:, ::-1]) == expected
    frozen = image.copy()
    frozen.setflags(write=False)
    assert tiny_codec.compress(frozen) == expected
    np.testing.assert_array_equal(frozen, image)


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros([65, 70, 3], np.uint8),
        lambda: np.full([65, 70, 3], 255, np.uint8),
        lambda: np.random.default_rng(0).integers(0, 256, [65, 70, 3], np.uint8),
        lambda: np.kron(np.indices([65, 70]).sum(0)[..., None] % 2 * 255, [1, 1, 1]).astype("u1"),
    ],
    ids=["black", "white", "noise", "checks"],
)
@pytest.mark.parametrize("quality", [1, 8])
def test_extreme_pictures_decode_to_what_was_predicted(make, quality, tiny_codec):
    coded = tiny_codec.encode(make(), quality)
    np.testing.assert_array_equal(tiny_codec.decompress(coded.data), tiny_codec.reconstruct(coded))


def test_fastest_and_plain_coder_write_and_read_the_same(tiny_model_folder, tiny_codec, photo):
    assert coding.available()[0] != "python"
    plain = tfhific.load(tiny_model_folder, coder="python")
    image = photo(150, 200, seed=2)
    for quality in (2, 8):
        coded = tiny_codec.encode(image, quality)
        assert plain.compress(image, quality) == coded.data
        np.testing.assert_array_equal(plain.decompress(coded.data), tiny_codec.reconstruct(coded))


def test_file_of_another_model_is_refused_by_name(tiny_codec, stranger_codec, photo):
    data = stranger_codec.compress(photo(20, 20))
    with pytest.raises(BitstreamError) as caught:
        tiny_codec.decompress(data)
    for name in (stranger_codec.fingerprint.hex(), "tiny", tiny_codec.fingerprint.hex()):
        assert name in str(caught.value)


@pytest.mark.parametrize("data", [None, "text", 5, [1, 2], np.zeros(5)])
def test_what_are_no_bytes_is_refused(data, tiny_codec):
    with pytest.raises(BitstreamError, match="bytes"):
        tiny_codec.decompress(data)


def test_bytes_may_come_in_any_buffer(tiny_codec, photo):
    data = tiny_codec.compress(photo(20, 20))
    expected = tiny_codec.decompress(data)
    for same in (bytearray(data), memoryview(data)):
        np.testing.assert_array_equal(tiny_codec.decompress(same), expected)


def outcome(codec, data):
    """The picture's shape that decoding gives, or None where it is refused in one line."""
    try:
        return codec.decompress(data).shape
    except BitstreamError as error:
        message = str(error)
    assert "\n" not in message
    return None


@pytest.fixture(scope="module")
def small_file(tiny_codec, photo) -> bytes:
    return tiny_codec.compress(photo(33, 40), 6)


def test_cut_and_changed_files_are_refused(tiny_codec, small_file):
    rng = np.random.default_rng(3)
    for length in range(0, len(small_file), 3):
        assert outcome(tiny_codec, small_file[:length]) is None
    for place in range(len(small_file)):
        damaged = bytearray(small_file)
        damaged[place] ^= 1 << rng.integers(8)
        assert outcome(tiny_codec, bytes(damaged)) is None


def resealed(data: bytes) -> bytes:
    return data[:-8] + checksum(data[:-8])


def test_damage_with_a_repaired_checksum_gives_the_headers_size_or_is_refused(
    tiny_codec, small_file
):
    rng = np.random.default_rng(4)
    refused = 0
    for _ in range(120):
        damaged = bytearray(small_file)
        # Behind the sizes, which would only make other pictures' sizes of this one's bytes.
        for place in rng.integers(14, len(damaged) - 8, rng.integers(1, 4)):
            damaged[place] ^= 1 << rng.integers(8)
        found = outcome(tiny_codec, resealed(bytes(damaged)))
        assert found in (None, (33, 40, 3))
        refused += found is None
    assert refused > 0


def test_payloads_cut_or_filled_with_anything_give_the_headers_size_or_are_refused(
    tiny_codec, small_file
):
    contents = container.unpack(small_file)
    rng = np.random.default_rng(5)
    for _ in range(60):
        z, y = (
            [payload, payload[: rng.integers(len(payload))], payload + b"\0", rng.bytes(40), b""]
            for payload in (contents.z, contents.y)
        )
        changed = dataclasses.replace(
            contents,
            z=z[rng.integers(5)],
            y=y[rng.integers(5)],
            z_streams=1 << int(rng.integers(11)),
            y_streams=1 << int(rng.integers(11)),
        )
        assert outcome(tiny_codec, container.pack(changed)) in (None, (33, 40, 3))


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (33, 41), (65, 40), (4000, 4000), (1, 10**7), (12_000, 12_000)]
)
def test_sizes_that_the_payloads_do_not_fit_are_refused(height, width, tiny_codec, small_file):
    contents = dataclasses.replace(container.unpack(small_file), height=height, width=width)
    found = outcome(tiny_codec, container.pack(contents))
    # (33, 41) has the same latents: nothing shows that it is not the size.
    assert found == ((33, 41, 3) if width == 41 else None)


def test_picture_over_the_limit_is_refused_in_both_directions(tiny_codec, photo):
    limited = HyperpriorCodec(tiny_codec.published, max_pixels=1200)
    fits, large = photo(30, 40), photo(31, 40)
    assert limited.decompress(limited.compress(fits)).shape == fits.shape
    for work in (limited.compress, limited.estimate_bpp):
        with pytest.raises(ImageError, match="40x31"):
            work(large)
    with pytest.raises(BitstreamError, match="40x31"):
        limited.decompress(tiny_codec.compress(large))


@pytest.mark.parametrize("depth", ["alpha", "metadata", "both", "neither"])
def test_alpha_profile_and_exif_come_back_as_they_were(depth, tiny_codec, photo):
    from PIL import ImageCms

    with_alpha, with_metadata = depth in ("alpha", "both"), depth in ("metadata", "both")
    alpha = np.random.default_rng(0).integers(0, 256, [45, 70], np.uint8) if with_alpha else None
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = b"Exif\0\0" + Image.Exif().tobytes()[6:]
    picture = Picture(
        photo(45, 70), alpha, icc if with_metadata else None, exif if with_metadata else None
    )
    data = tiny_codec.compress_picture(picture, 4)
    back = tiny_codec.decompress_picture(data)
    np.testing.assert_array_equal(back.pixels, tiny_codec.decompress(data))
    np.testing.assert_array_equal(
        back.pixels, tiny_codec.decompress(tiny_codec.compress(picture.pixels, 4))
    )
    if with_alpha:
        np.testing.assert_array_equal(back.alpha, alpha)
    else:
        assert back.alpha is None
    assert (back.icc, back.exif) == (picture.icc, picture.exif)


def png(array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "alpha",
    [
        b"",
        b"not a picture",
        png(np.zeros([44, 70], np.uint8)),
        png(np.zeros([70, 45], np.uint8)),
        png(np.zeros([45, 70], np.uint8))[:-20],
        png(np.zeros([3000, 3000], np.uint8)),
    ],
    ids=["empty", "text", "small", "turned", "cut", "large"],
)
def test_alpha_that_does_not_fit_is_refused(alpha, tiny_codec, photo):
    data = tiny_codec.encode(photo(45, 70), 4, alpha=alpha).data
    with pytest.raises(BitstreamError, match="alpha") as caught:
        tiny_codec.decompress_picture(data)
    assert "\n" not in str(caught.value)
