"""Training crops with label maps: paired by name, cut alike, with regions to keep."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfhific.data.labelled import LabelledData, draw_kept, instances, kept_pictures
from tfhific.errors import ImageError
from tfhific.models.system import TrainingOptions


@pytest.fixture
def folder(tmp_path, photo, label_picture):
    """Pictures whose red channel is 40 times the label."""
    (tmp_path / "street").mkdir()
    (tmp_path / "street_labels").mkdir()
    for number in range(3):
        labels = label_picture(40, 70, 5, number)
        pixels = photo(40, 70, number)
        pixels[..., 0] = 40 * labels
        Image.fromarray(pixels).save(tmp_path / "street" / f"{number}.png")
        Image.fromarray(labels).save(tmp_path / "street_labels" / f"{number}.png")
    return tmp_path / "street"


def test_instances_are_connected_regions_of_one_class():
    labels = np.array([[1, 1, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]])
    numbered, count = instances(labels)
    assert count == 4
    assert numbered[0, 0] == numbered[1, 1]
    assert numbered[0, 3] == numbered[2, 0] == numbered[3, 1]
    assert numbered[0, 0] != numbered[0, 3]
    assert numbered[1, 0] != numbered[0, 2]


def test_instances_agree_with_a_flood_fill(label_picture):
    labels = label_picture(15, 18, 3, 4)
    numbered, count = instances(labels)
    regions = 0
    open_pixels = set(np.ndindex(labels.shape))
    while open_pixels:
        stack = [open_pixels.pop()]
        members = set(stack)
        while stack:
            y, x = stack.pop()
            for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if place in open_pixels and labels[place] == labels[y, x]:
                    open_pixels.remove(place)
                    members.add(place)
                    stack.append(place)
        assert len({numbered[place] for place in members}) == 1
        regions += 1
    assert regions == count


def test_kept_regions_are_instances_or_boxes_and_never_empty(label_picture):
    labels = label_picture(32, 32, 5)
    numbered, count = instances(labels)
    boxes = whole = 0
    shares = []
    for seed in range(200):
        kept = draw_kept(labels, np.random.default_rng(seed)).astype(bool)
        assert kept.any()
        rows, columns = np.flatnonzero(kept.any(1)), np.flatnonzero(kept.any(0))
        box = kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        split = [numbered[kept].tolist(), numbered[~kept].tolist()]
        instance = not set(split[0]) & set(split[1])
        assert box or instance
        boxes, whole = boxes + (box and not instance), whole + instance
        if instance:
            shares.append(len(set(split[0])) / count)
    assert boxes > 50
    assert whole > 50
    assert 0.15 < np.mean(shares) < 0.5


def test_crops_and_labels_stay_together(folder):
    options = TrainingOptions(batch_size=2, crop=32, downscale_min=1.0)
    data = LabelledData(folder, options, 5)
    for step, batch in zip(range(4), data.batches(0)):
        batch = batch.numpy()
        assert batch.shape == (2, 32, 32, 5)
        np.testing.assert_array_equal(batch[..., 0], 40 * batch[..., 3])
        assert set(np.unique(batch[..., 4])) <= {0, 1}
        np.testing.assert_array_equal(batch[0], data._source(2 * step))
    np.testing.assert_array_equal(data.samples(2)[1], data._source(1))


def test_pictures_to_publish_with_come_with_a_region(folder):
    found = list(kept_pictures(folder, 5))
    assert len(found) == 3
    for pixels, kept in found:
        assert pixels.shape[:2] == kept.shape
        assert kept.dtype == bool
        assert kept.any()


def test_a_missing_map_a_map_of_another_size_and_an_unknown_class_are_refused(folder):
    options = TrainingOptions(batch_size=1, crop=32)
    labels = folder.parent / "street_labels"
    with pytest.raises(ImageError, match="classes from 0 to 1"):
        LabelledData(folder, options, 2).samples(3)
    Image.fromarray(np.zeros([40, 69], np.uint8)).save(labels / "0.png")
    with pytest.raises(ImageError, match="70x40 pixels"):
        LabelledData(folder, options, 5).samples(3)
    (labels / "0.png").unlink()
    with pytest.raises(ImageError, match="not there"):
        LabelledData(folder, options, 5)
