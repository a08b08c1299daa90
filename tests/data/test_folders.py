"""Crops are determined by their number; broken files are skipped and counted."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfhific.data.crops import CropSource, crop_dataset
from tfhific.data.folders import Files, list_images
from tfhific.errors import ImageError


@pytest.fixture
def folder(tmp_path, photo):
    """Pictures of different sizes, one below, and a file that is none."""
    for name, size in {"b.png": (80, 100), "a.jpg": (90, 70), "deep/c.png": (64, 64)}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photo(*size)).save(path)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def crops(source, numbers) -> list[bytes]:
    return [source(number).tobytes() for number in numbers]


def test_images_are_listed_below_a_folder_or_by_a_glob(folder):
    found = [folder / name for name in ("a.jpg", "b.png", "deep/c.png")]
    assert list_images(folder) == [str(path) for path in found]
    assert list_images(str(folder / "*.png")) == [str(folder / "b.png")]
    assert list_images(str(folder / "**" / "*.png")) == [str(path) for path in found[1:]]


def test_no_images_is_told(folder):
    (folder / "empty").mkdir()
    for pattern in (folder / "empty", folder / "missing", folder / "*.webp"):
        with pytest.raises(ImageError, match="No images in"):
            list_images(str(pattern))
    with pytest.raises(ImageError, match="at least one"):
        CropSource(Files([]), 64)


def test_crop_depends_on_seed_and_number_only(folder):
    paths = list_images(folder)
    numbers = list(range(12))
    expected = crops(CropSource(Files(paths), 64, seed=3), numbers)
    # In another order, without a cache, and resumed in the middle.
    backwards = crops(CropSource(Files(paths), 64, seed=3, cache_bytes=0), numbers[::-1])[::-1]
    assert backwards == expected
    assert crops(CropSource(Files(paths), 64, seed=3), range(7, 12)) == expected[7:]
    assert len(set(expected)) > 8
    assert crops(CropSource(Files(paths), 64, seed=4), numbers) != expected


def test_crops_are_square_bytes_of_the_size_asked_for(folder):
    for crop in (1, 32, 64, 128, 300):
        source = CropSource(Files(list_images(folder)), crop)
        for number in range(4):
            patch = source(number)
            assert patch.shape == (crop, crop, 3)
            assert patch.dtype == np.uint8


def test_every_image_is_seen_once_before_any_is_seen_again(tmp_path):
    for shade in range(10):
        Image.fromarray(np.full([70, 70, 3], 20 * shade, np.uint8)).save(tmp_path / f"{shade}.png")
    source = CropSource(Files(list_images(tmp_path)), 64)
    seen = [int(source(number)[0, 0, 0]) // 20 for number in range(30)]
    for epoch in range(3):
        assert sorted(seen[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert seen[:10] != seen[10:20]


def test_crop_without_scaling_is_a_window_or_its_mirror_image(tmp_path):
    rows, columns = np.indices([80, 90])
    picture = np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    source = CropSource(Files(list_images(tmp_path)), 64, downscale_min=1.0)
    mirrored, corners = set(), set()
    for number in range(40):
        patch = source(number)
        flip = bool(patch[0, 0, 1] > patch[0, -1, 1])
        upright = patch[:, ::-1] if flip else patch
        top, left = int(upright[0, 0, 0]), int(upright[0, 0, 1])
        np.testing.assert_array_equal(upright, picture[top : top + 64, left : left + 64])
        mirrored.add(flip)
        corners.add((top, left))
    assert mirrored == {False, True}
    assert len(corners) > 20


def test_some_crops_are_scaled_down(tmp_path):
    picture = np.stack([np.indices([200, 200])[1]] * 3, axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    source = CropSource(Files(list_images(tmp_path)), 64, downscale_min=0.5)
    spans = [int(np.ptp(source(number)[..., 0].astype(int))) for number in range(40)]
    assert min(spans) == 63
    assert 100 < max(spans) <= 128


def test_picture_smaller_than_the_crop_is_extended(tmp_path):
    Image.fromarray(np.full([3, 1, 3], 77, np.uint8)).save(tmp_path / "a.png")
    patch = CropSource(Files(list_images(tmp_path)), 64)(0)
    assert patch.shape == (64, 64, 3)
    assert np.all(patch == 77)


def test_broken_files_are_skipped_and_counted(folder):
    (folder / "broken.png").write_bytes(b"not a picture")
    whole = (folder / "b.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    source = CropSource(Files(list_images(folder)), 64)
    first = crops(source, range(15))
    assert sorted(source.skipped) == [str(folder / "broken.png"), str(folder / "cut.png")]
    for path, reason in source.skipped.items():
        assert path in reason
    # Whether they are known to be broken already does not change what follows.
    assert crops(source, range(15)) == first
    assert crops(CropSource(Files(list_images(folder)), 64), range(9, 15)) == first[9:]


def test_only_broken_files_is_an_error(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"not a picture")
    source = CropSource(Files(list_images(tmp_path)), 64)
    for _ in range(2):
        with pytest.raises(ImageError, match="None of the 2 images can be read"):
            source(0)


def test_dataset_continues_where_a_step_left_off(folder):
    source = CropSource(Files(list_images(folder)), 64, seed=5)
    whole = [batch.numpy() for batch in crop_dataset(source, 64, 3).take(5)]
    again = CropSource(Files(list_images(folder)), 64, seed=5)
    rest = [batch.numpy() for batch in crop_dataset(again, 64, 3, first_step=2).take(3)]
    np.testing.assert_array_equal(rest, whole[2:])
    expected = np.stack([source(number) for number in range(15)]).reshape(5, 3, 64, 64, 3)
    np.testing.assert_array_equal(whole, expected)
