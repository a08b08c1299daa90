"""Crops from TFRecord shards and TensorFlow Datasets, addressed by their number like others."""

from __future__ import annotations

import io
import pathlib
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfhific.data.crops import Augmentation, CropSource
from tfhific.data.folders import Files, list_images
from tfhific.data.images import ImageData, open_pictures
from tfhific.data.shards import Shards, list_shards
from tfhific.errors import ImageError


@pytest.fixture
def folder(tmp_path, photo):
    path = tmp_path / "images"
    path.mkdir()
    for number in range(7):
        Image.fromarray(photo(70 + number, 90, number)).save(path / f"{number}.png")
    return path


@pytest.fixture
def shards(folder, tmp_path, call_script):
    done = call_script("make_shards", folder, tmp_path / "packed", "--shards=3")
    assert (done.code, done.err) == (0, "")
    assert "7 images in 3 shards" in done.out
    return tmp_path / "packed"


def test_shards_hold_the_pictures_of_the_folder(folder, shards):
    names = [f"images-{i:05}-of-00003.tfrecord" for i in range(3)]
    assert [path.name for path in sorted(shards.iterdir())] == names
    packed, files = open_pictures(str(shards)), Files(list_images(folder))
    assert isinstance(packed, Shards)
    assert len(packed) == len(files) == 7
    order = [0, 3, 6, 1, 4, 2, 5]
    for position, number in enumerate(order):
        np.testing.assert_array_equal(packed.read(position), files.read(number))
    # What TensorFlow reads is the same: they are TFRecord files like any others.
    records = tf.data.TFRecordDataset(sorted(map(str, shards.iterdir())))
    assert len(list(records)) == 7


def test_crops_of_shards_follow_from_seed_and_number(shards):
    sources = [CropSource(Shards(list_shards(str(shards))), 64, seed=5) for _ in range(2)]
    expected = [sources[0](number) for number in range(20)]
    for number in reversed(range(20)):
        np.testing.assert_array_equal(sources[1](number), expected[number])
    data = ImageData(open_pictures(str(shards / "*.tfrecord")), 64, 4, seed=5)
    rest = [batch.numpy() for batch in data.batches(2).take(3)]
    np.testing.assert_array_equal(np.concatenate(rest), expected[8:])
    assert data.describe() == "7 images"


def test_shards_are_not_written_over_and_broken_images_are_left_out(
    folder, shards, tmp_path, call_script
):
    done = call_script("make_shards", folder, shards, "--shards=3")
    assert done.code == 1
    assert "is there already" in done.err
    (folder / "broken.png").write_bytes(b"no picture")
    done = call_script("make_shards", folder, tmp_path / "other", "--shards=99")
    assert done.code == 1
    assert "broken.png" in done.err
    assert "7 images in 8 shards" in done.out
    assert len(open_pictures(str(tmp_path / "other"))) == 7


def encoded(value=7) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full([70, 70, 3], value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def write(path, *features) -> str:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for feature in features:
            if isinstance(feature, dict):
                feature = {
                    key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for key, value in feature.items()
                }
                feature = tf.train.Example(
                    features=tf.train.Features(feature=feature)
                ).SerializeToString()
            writer.write(feature)
    return str(path)


def test_records_without_a_picture_are_skipped_and_named(tmp_path):
    path = write(
        tmp_path / "a.tfrecord",
        {"image": encoded()},
        {"label": b"x"},
        b"\xff\xff\xff",
        {"image/encoded": b"no picture"},
    )
    source = CropSource(Shards([path]), 64)
    for number in range(12):
        assert np.all(source(number) == 7)
    assert len(source.skipped) == 3
    assert all(name.startswith(f"{path} at byte ") for name in source.skipped)
    assert sum("tf.train.Example" in reason for reason in source.skipped.values()) == 2


@pytest.mark.parametrize("damage", ["cut", "text", "gzip", "long", "empty"])
def test_files_that_are_no_whole_shards_are_told(damage, tmp_path):
    path = write(tmp_path / "a.tfrecord", {"image": encoded()}, {"image": encoded()})
    data = pathlib.Path(path).read_bytes()
    changed = {
        "cut": data[:-3],
        "text": b"not a record at all, but a text",
        "gzip": b"\x1f\x8b\x08\x00" + data[:100],
        "long": (1 << 62).to_bytes(8, "little") + data[8:],
        "empty": b"",
    }[damage]
    with open(path, "wb") as file:
        file.write(changed)
    with pytest.raises(ImageError, match="TFRecord"):
        Shards([path])
    with pytest.raises(ImageError, match="cannot be read"):
        Shards([str(tmp_path / "missing.tfrecord")])


@pytest.fixture
def tfds(tmp_path, monkeypatch):
    """A stand-in for tensorflow-datasets with one prepared dataset."""
    path = write(tmp_path / "coco-train.tfrecord-00000-of-00001", {"image": encoded(3)})
    module = types.ModuleType("tensorflow_datasets")
    prepared = []

    def builder(name, data_dir=None):
        if name != "coco/2014":
            raise ValueError(f"Dataset {name} not found.\nLong explanation")
        split = types.SimpleNamespace(filepaths=[path])
        info = types.SimpleNamespace(splits={"train": split})
        return types.SimpleNamespace(info=info, download_and_prepare=lambda: prepared.append(name))

    module.builder = builder
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    return prepared


def test_datasets_are_prepared_and_read_by_position(tfds):
    for spec in ("tfds:coco/2014", "tfds:coco/2014:train"):
        source = CropSource(open_pictures(spec), 64)
        assert np.all(source(5) == 3)
    assert tfds == ["coco/2014"] * 2
    with pytest.raises(ImageError, match="splits train"):
        open_pictures("tfds:coco/2014:test")
    with pytest.raises(ImageError, match=r"ValueError: Dataset cocoa not found\.$"):
        open_pictures("tfds:cocoa")


def test_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImageError, match="pip install tensorflow-datasets"):
        open_pictures("tfds:coco/2014")


def test_every_crop_is_scaled_within_its_range_and_none_is_mirrored(tmp_path):
    picture = np.stack([np.indices([200, 200])[1]] * 3, axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    how = Augmentation(0.75, 0.95, 1.0, flip=False)
    source = CropSource(Files([str(tmp_path / "a.png")]), 64, augmentation=how)
    spans = []
    for number in range(60):
        row = source(number)[0, :, 0].astype(int)
        assert row[0] < row[-1]
        spans.append(row[-1] - row[0])
    assert 64 / 0.95 - 4 < min(spans) < 70
    assert 80 < max(spans) < 64 / 0.75 + 2


def test_short_side_is_never_scaled_below_the_crop(tmp_path):
    picture = np.stack([np.indices([70, 300])[0]] * 3, axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    source = CropSource(
        Files([str(tmp_path / "a.png")]), 64, augmentation=Augmentation(0.5, 0.6, 1.0)
    )
    for number in range(20):
        column = source(number)[:, 0, 0].astype(int)
        assert column[0] <= 1
        assert column[-1] >= 68


@pytest.mark.parametrize("low", [0.0, 1.2, 0.9])
def test_ranges_that_make_no_sense_are_told(low):
    with pytest.raises(ImageError, match="downscale_min"):
        Augmentation(low, 0.8)
