"""`import tfhific.pillow`: Pillow opens and saves `.tfh` files as those of its own formats."""

from __future__ import annotations

import copy
import io
import pickle
import sys
import threading

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import tfhific.pillow
from tests.serving import pictures
from tfhific.bitstream import container
from tfhific.errors import PillowError, TfhificError
from tfhific.pictures.images import Picture

UPRIGHT, ON_ITS_SIDE = 1, 6
ONE_LINE = r"\A[^\n]+\Z"


@pytest.fixture(autouse=True)
def codecs(tiny_codec, tiny_search, monkeypatch):
    """Pillow registered with models of this test alone, of which `mini` is the tiny one."""
    fresh = tfhific.pillow.Codecs()
    tfhific.pillow.register(fresh)
    yield fresh
    tfhific.pillow.register(tfhific.pillow.CODECS)


@pytest.fixture(scope="module")
def whole(tiny_codec, photo):
    """A file with an alpha plane, a profile and an EXIF block; and the picture in it."""
    alpha = np.ascontiguousarray(np.broadcast_to(np.arange(50, dtype=np.uint8) * 5, (30, 50)))
    picture = Picture(photo(30, 50), alpha, pictures.profile(), pictures.exif(UPRIGHT))
    return tiny_codec.compress_picture(picture, 2.0), picture


@pytest.fixture(scope="module")
def plain(tiny_codec, photo):
    return tiny_codec.compress(photo(40, 70), 6.0)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def saved(image: Image.Image, **options) -> bytes:
    held = io.BytesIO()
    image.save(held, "TFH", **{"model": "tiny", **options})
    return held.getvalue()


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_pixels_and_what_is_beside_them_are_those_of_the_codec(whole, tiny_codec):
    image, read = opened(whole[0]), tiny_codec.decompress_picture(whole[0])
    assert (image.mode, image.size, image.format) == ("RGBA", (50, 30), "TFH")
    assert image.get_format_mimetype() == "image/x-tfh"
    assert image.info["icc_profile"] == read.icc
    assert image.info["exif"] == read.exif
    assert image.getexif()[0x0112] == UPRIGHT
    assert np.array_equal(np.asarray(image), np.dstack([read.pixels, read.alpha]))


def test_a_file_without_alpha_is_rgb_and_has_nothing_beside(plain, tiny_codec):
    image = opened(plain)
    assert (image.mode, image.size, dict(image.info)) == ("RGB", (70, 40), {})
    assert np.array_equal(np.asarray(image), tiny_codec.decompress(plain))


def test_a_file_of_the_older_format_version_opens(plain, tiny_codec):
    from tests.clients.web_files import written_anew

    old = written_anew(plain, tiny_codec, version=0)
    assert np.array_equal(np.asarray(opened(old)), tiny_codec.decompress(old))


LAZY = """
import importlib.util, sys
from PIL import Image
import tfhific.pillow
heavy = {"tensorflow", "keras", "tf_keras", "tensorflow_compression", "ai_edge_litert"}
image = Image.open(sys.argv[1])
assert (image.size, image.mode) == ((70, 40), "RGB"), image
image.verify()
assert not heavy & set(sys.modules), heavy & set(sys.modules)
image = Image.open(sys.argv[1])
image.load()
image.resize((7, 4)).save(sys.argv[2], model="tiny", quality=3)
light = importlib.util.find_spec("ai_edge_litert") is not None
assert ("tensorflow" in sys.modules) != light
with Image.open(sys.argv[2]) as again:
    print(again.format, *again.size, "%d" % sum(image.getpixel((3, 4))))
"""


def test_opening_and_verifying_in_a_new_process_load_no_tensorflow(
    plain, tmp_path, run_python, models_folder, tiny_codec
):
    (tmp_path / "a.tfh").write_bytes(plain)
    environment = {"TFHIFIC_MODELS": str(models_folder)}
    arguments = ("-c", LAZY, tmp_path / "a.tfh", tmp_path / "b.tfh")
    done = run_python(*arguments, environment=environment)
    assert done.returncode == 0, done.stderr.decode()
    *facts, light = done.stdout.decode().split()
    assert facts == ["TFH", "7", "4"]
    assert abs(int(light) - int(tiny_codec.decompress(plain)[4, 3].astype(int).sum())) <= 3


def test_an_effort_has_what_can_make_it_beside_what_starts_soonest(photo, codecs, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    with monkeypatch.context() as bare:
        bare.delitem(sys.modules, "tensorflow")
        plain = codecs.named("tiny")
        assert (plain.runtime, codecs.named("tiny", 1) is plain) == ("litert", True)
    harder = codecs.named("tiny", 2)
    assert (harder.runtime, codecs.named("tiny", 3) is harder) == ("tensorflow", True)
    image = Image.fromarray(photo(33, 47))
    assert saved(image, quality=4) == plain.compress(photo(33, 47), 4.0)
    by_name = tfhific.pillow.Codecs(runtime="litert").named("tiny", 2)
    assert by_name.runtime == "litert"


def test_header_alone_is_read_before_the_picture_is_wanted(plain):
    stream = io.BytesIO(plain)
    read = []
    inner = stream.read
    stream.read = lambda count=-1: read.append(inner(count)) or read[-1]
    # Alone: others of Pillow's readers may be asked before, and read as much as they like.
    Image.open(stream, formats=[tfhific.pillow.FORMAT])
    assert sum(map(len, read)) <= 100 < len(plain)


def test_what_save_writes_is_what_the_codec_writes(photo, tiny_codec):
    image = Image.fromarray(photo(33, 47))
    assert saved(image, quality=3.5) == tiny_codec.compress(photo(33, 47), 3.5)
    assert saved(image) == tiny_codec.compress(photo(33, 47))


def test_an_effort_is_passed_on_and_a_senseless_one_is_refused(photo, tiny_codec):
    pixels = photo(48, 64)
    image = Image.fromarray(pixels)
    assert saved(image, quality=4, effort=1) == tiny_codec.compress(pixels, 4.0)
    # Passed on: this model does not say what it was trained for.
    with pytest.raises(OSError, match="tiny has no `effort` above 1"):
        saved(image, quality=4, effort=2)
    with pytest.raises(ValueError, match="`effort`: expected a whole number from 1"):
        saved(image, effort=10)


def test_a_bound_on_bytes_or_on_bits_per_pixel_is_kept(photo):
    image = Image.fromarray(photo(64, 96))
    small, large = saved(image, quality=1.0), saved(image, quality=8.0)
    bound = (len(small) + len(large)) // 2
    assert len(small) < len(saved(image, target_bytes=bound)) <= bound
    bits = 8 * bound / (64 * 96)
    assert len(small) < len(saved(image, target_bpp=bits)) <= bound
    with pytest.raises(OSError, match="can't be reached"):
        saved(image, target_bytes=20)


def test_alpha_profile_and_exif_of_an_image_come_back(whole):
    again = opened(saved(opened(whole[0])))
    assert again.mode == "RGBA"
    assert np.array_equal(np.asarray(again)[..., 3], whole[1].alpha)
    assert again.info["icc_profile"] == whole[1].icc
    assert again.getexif()[0x0112] == UPRIGHT
    bare = opened(saved(opened(whole[0]).convert("RGB"), icc_profile=None, exif=b""))
    assert (bare.mode, dict(bare.info)) == ("RGB", {})


def test_an_orientation_is_applied_to_the_pixels_whoever_states_it(photo):
    image = Image.fromarray(photo(30, 60))
    exif = image.getexif()
    exif[0x0112] = ON_ITS_SIDE
    turned = image.transpose(Image.Transpose.ROTATE_270)
    wanted = np.asarray(opened(saved(turned, quality=8)))
    for block in (exif, exif.tobytes()):
        found = opened(saved(image, quality=8, exif=block))
        assert found.size == (30, 60)
        assert found.getexif()[0x0112] == UPRIGHT
        assert np.array_equal(np.asarray(found), wanted)
    held = io.BytesIO()
    image.save(held, "JPEG", exif=exif)
    jpeg = Image.open(io.BytesIO(held.getvalue()))
    assert opened(saved(jpeg)).size == (30, 60)
    # The image itself is left as it was.
    assert (jpeg.size, jpeg.getexif()[0x0112]) == ((60, 30), ON_ITS_SIDE)


def modes(photo) -> dict[str, Image.Image]:
    image = Image.fromarray(photo(20, 24))
    alpha = Image.fromarray(photo(20, 24, 5)[..., 0])
    palette = image.quantize(16)
    clear = image.quantize(16)
    clear.info["transparency"] = 3
    whole = image.copy()
    whole.putalpha(alpha)
    wide = Image.fromarray(photo(20, 24)[..., 0].astype(np.uint16) * 257)
    kinds = {"1": image.convert("1"), "L": image.convert("L"), "LA": whole.convert("LA")}
    kinds.update(
        {"P": palette, "P, one clear": clear, "RGBA": whole, "RGBX": image.convert("RGBX")}
    )
    return {**kinds, "RGBa": whole.convert("RGBa"), "CMYK": image.convert("CMYK"), "I;16": wide}


def test_every_mode_that_8_bit_rgb_can_show_is_saved_as_it_is_shown(photo, tiny_codec):
    for name, image in modes(photo).items():
        has_alpha = name in ("LA", "P, one clear", "RGBA", "RGBa")
        shown = image.convert("RGBA" if has_alpha else "RGB") if name != "I;16" else None
        found = opened(saved(image, quality=8))
        assert found.mode == ("RGBA" if has_alpha else "RGB"), name
        if shown is None:
            shown = Image.fromarray(photo(20, 24)[..., 0])
        pixels = np.asarray(shown.convert("RGB"))
        assert np.array_equal(
            np.asarray(found)[..., :3], tiny_codec.decompress(tiny_codec.compress(pixels, 8.0))
        ), name
        if has_alpha:
            assert np.array_equal(np.asarray(found)[..., 3], np.asarray(shown)[..., 3]), name


def test_modes_that_would_be_guessed_at_and_empty_images_are_refused(photo):
    image = Image.fromarray(photo(20, 24))
    for mode in ("F", "I", "LAB"):
        shown = image.convert("L").convert(mode) if mode != "LAB" else Image.new("LAB", (4, 4))
        with pytest.raises(OSError, match=f"mode {mode}.*RGB"):
            saved(shown)
    with pytest.raises(OSError, match="at least one pixel"):
        saved(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"quality": 90}, ValueError, "from 1 to 8"),
        ({"quality": "high"}, ValueError, "from 1 to 8"),
        ({"quality": 2, "target_bytes": 100}, ValueError, "one of"),
        ({"target_bytes": -5}, ValueError, "positive"),
        ({"model": "no-such-model"}, OSError, "no-such-model.*TFHIFIC_MODELS"),
    ],
)
def test_senseless_options_are_refused_in_one_line_and_leave_no_file(
    options, error, said, photo, tmp_path
):
    image = Image.fromarray(photo(20, 24))
    with pytest.raises(error, match=said) as caught:
        image.save(tmp_path / "a.tfh", **{"model": "tiny", **options})
    assert isinstance(caught.value, TfhificError)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    held = io.BytesIO(b"kept")
    with pytest.raises(error):
        image.save(held, "TFH", **{"model": "tiny", **options})
    assert held.getvalue() == b"kept"


def test_format_follows_from_the_ending_and_an_image_can_replace_its_own_file(plain, tmp_path):
    assert Image.registered_extensions()[".tfh"] == "TFH"
    assert Image.MIME["TFH"] == "image/x-tfh"
    path = tmp_path / "a.TFH"
    path.write_bytes(plain)
    image = Image.open(path)
    image.save(path, model="tiny", quality=1)
    with Image.open(path) as again:
        assert (again.format, again.size) == ("TFH", (70, 40))
        assert np.array_equal(np.asarray(again).shape, (40, 70, 3))
    assert path.read_bytes() == saved(opened(plain), quality=1)


def test_what_is_no_such_file_is_not_identified(plain):
    for data in (b"TF", b"", b"XFH" + plain[3:], b"a text"):
        with pytest.raises(UnidentifiedImageError):
            opened(data)
    newer = plain[:3] + b"\2" + plain[4:]
    with pytest.raises(UnidentifiedImageError), pytest.warns(UserWarning, match="version 2"):
        opened(newer)


def test_every_cut_of_a_file_raises_an_os_error_and_nothing_else(whole):
    data = whole[0]
    for length in [*range(80), *range(80, len(data), 97), len(data) - 1]:
        with pytest.raises(OSError, match=ONE_LINE):
            opened(data[:length]).load()


def test_every_changed_byte_is_refused_in_load_and_by_verify(whole):
    data = whole[0]
    for at in [*range(4, 60), *range(60, len(data), 53)]:
        for use in ("load", "verify"):
            with pytest.raises(OSError, match=ONE_LINE):
                getattr(opened(damaged(data, at)), use)()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_damage_beneath_a_checksum_that_fits_is_an_os_error_too(tiny_codec, photo):
    from tests.clients.web_files import hostile

    for what, data in hostile(tiny_codec.compress(photo(70, 90))).items():
        with pytest.raises((OSError, Image.DecompressionBombError)) as caught:
            opened(data).load()
        assert "\n" not in str(caught.value), what


def test_a_sound_file_is_verified_and_then_to_be_opened_again(whole, plain):
    for data in (whole[0], plain):
        image = opened(data)
        image.verify()
        with pytest.raises(OSError, match="open it again"):
            image.load()


def test_a_file_that_changed_after_it_was_opened_is_refused(plain, tiny_codec, photo):
    stream = io.BytesIO(plain)
    image = Image.open(stream)
    stream.seek(0)
    stream.truncate()
    stream.write(tiny_codec.compress(photo(16, 16)))
    with pytest.raises(PillowError, match="changed"):
        image.load()


def test_a_file_of_a_model_that_is_not_here_names_it_and_where_models_are_sought(
    stranger_codec, photo, codecs, models_folder
):
    data = stranger_codec.compress(photo(20, 20))
    image = opened(data)
    assert image.size == (20, 20)
    with pytest.raises(OSError, match=f"{stranger_codec.fingerprint.hex()}.*TFHIFIC_MODELS"):
        image.load()
    # Once it is loaded by its folder its files open.
    codecs.named(models_folder.parent / f"{models_folder.name}-elsewhere" / "stranger")
    image.load()
    assert np.array_equal(np.asarray(image), stranger_codec.decompress(data))


def test_pillows_limit_on_pixels_is_the_one_that_counts(plain, monkeypatch, tiny_codec):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 70 - 1)
    with pytest.warns(Image.DecompressionBombWarning):
        opened(plain)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 70 // 2 - 1)
    with pytest.raises(Image.DecompressionBombError):
        opened(plain)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    huge = container.unpack(plain)
    body = container.pack(type(huge)(**{**vars(huge), "height": 60_000, "width": 60_000}))
    image = opened(body)
    assert image.size == (60_000, 60_000)
    with pytest.raises(OSError, match="can't hold"):
        image.load()


def test_thumbnails_copies_and_pickles_are_those_of_the_decoded_picture(whole):
    pixels = np.asarray(opened(whole[0]))
    small = opened(whole[0])
    small.thumbnail((16, 16))
    assert small.size == (16, 10)
    for made in (
        copy.copy,
        copy.deepcopy,
        Image.Image.copy,
        lambda i: pickle.loads(pickle.dumps(i)),
    ):
        loaded, unloaded = opened(whole[0]), opened(whole[0])
        loaded.load()
        for image in (loaded, unloaded):
            if made is copy.deepcopy and image is unloaded:
                continue  # a file that is open can't be copied
            assert np.array_equal(np.asarray(made(image)), pixels)


def test_what_can_not_seek_is_opened(plain):
    class Pipe:
        def __init__(self) -> None:
            self._inner = io.BytesIO(plain)

        def read(self, count: int = -1) -> bytes:
            return self._inner.read(count)

    assert np.array_equal(np.asarray(Image.open(Pipe())), np.asarray(opened(plain)))


def test_an_opened_path_is_closed_after_loading_and_a_users_file_is_not(plain, tmp_path):
    (tmp_path / "a.tfh").write_bytes(plain)
    image = Image.open(tmp_path / "a.tfh")
    own = image.fp
    image.load()
    assert own.closed
    stream = io.BytesIO(plain)
    Image.open(stream).load()
    assert not stream.closed


def test_threads_that_open_and_save_at_once_load_each_model_once(plain, photo, monkeypatch, codecs):
    loads, together = [], threading.Barrier(6)
    inner = {"load": tfhific.load, "load_for": tfhific.load_for}
    for name, load in inner.items():
        monkeypatch.setattr(
            tfhific, name, lambda *a, load=load, **k: loads.append(a) or load(*a, **k)
        )
    images = [Image.fromarray(photo(24, 24 + n)) for n in range(6)]
    found: dict[int, object] = {}

    def work(number: int) -> None:
        together.wait()
        try:
            if number % 2:
                found[number] = np.asarray(opened(plain))
            else:
                found[number] = saved(images[number])
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for number in range(6):
        if number % 2:
            assert np.array_equal(found[number], np.asarray(opened(plain)))
        else:
            assert found[number] == saved(images[number])
    # By its name and by its file's fingerprint.
    assert len(loads) <= 2
    assert codecs.named("tiny") is codecs.of_file(plain)
    codecs.clear()
    opened(plain).load()
    assert len(loads) <= 3


def test_importing_again_changes_nothing_and_an_open_image_keeps_its_models(plain, codecs):
    image = opened(plain)
    tfhific.pillow.register(tfhific.pillow.Codecs())
    image.load()
    assert codecs._by_fingerprint
    assert Image.ID.count("TFH") == 1
    assert sys.modules["tfhific.pillow"] is tfhific.pillow
