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


def test_a_missing_map_is_refused_and_so_is_a_set_that_can_not_be_read(folder):
    options = TrainingOptions(batch_size=1, crop=32)
    with pytest.raises(ImageError, match=r"None of the 3 images .* classes from 0 to 1"):
        LabelledData(folder, options, 2).samples(3)
    with pytest.raises(ImageError, match=r"None of the images .* classes from 0 to 1"):
        list(kept_pictures(folder, 2))
    (folder.parent / "street_labels" / "0.png").unlink()
    with pytest.raises(ImageError, match="not there"):
        LabelledData(folder, options, 5)


def test_pairs_that_can_not_be_read_are_skipped_with_the_reason(folder):
    labels = folder.parent / "street_labels"
    Image.fromarray(np.zeros([40, 69], np.uint8)).save(labels / "0.png")
    (folder / "1.png").write_bytes(b"not a picture")
    data = LabelledData(folder, TrainingOptions(batch_size=4, crop=32, downscale_min=1.0), 5)
    for _, batch in zip(range(6), data.batches(0)):
        crops = batch.numpy()
        np.testing.assert_array_equal(crops[..., 0], 40 * crops[..., 3])
    assert sorted(data.skipped) == [str(folder / "0.png"), str(folder / "1.png")]
    assert "70x40 pixels" in data.skipped[str(folder / "0.png")]
    complaints: list[str] = []
    assert len(list(kept_pictures(folder, 5, complaints.append))) == 1
    assert len(complaints) == 2
    assert all(line.startswith("skipped: ") for line in complaints)


def mirrored(crop, others) -> bool:
    return any(np.array_equal(crop[:, ::-1, :4], other[..., :4]) for other in others)


def test_flip_and_downscaling_are_those_of_the_options(tmp_path, photo):
    """On pictures as large as the crop, a crop is the picture, or it mirrored."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a_labels").mkdir()
    pixels = photo(32, 32)
    labels = (np.arange(32 * 32).reshape(32, 32) // 11 % 5).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a" / "0.png")
    Image.fromarray(labels).save(tmp_path / "a_labels" / "0.png")
    whole = np.concatenate([pixels, labels[..., None]], -1)

    def crops(**options):
        options = TrainingOptions(batch_size=1, crop=32, **options)
        return LabelledData(tmp_path / "a", options, 5).samples(20)[..., :4]

    assert all(np.array_equal(crop, whole) for crop in crops(flip=False))
    both = [np.array_equal(crop, whole) for crop in crops(flip=True)]
    assert 0 < sum(both) < 20
    assert all(same or mirrored(crop, [whole]) for same, crop in zip(both, crops(flip=True)))


def test_downscaled_crops_see_more_of_the_picture_and_labels_stay_whole_numbers(folder):
    def spans(share, least, most):
        options = TrainingOptions(
            batch_size=1,
            crop=16,
            flip=False,
            downscale_share=share,
            downscale_min=least,
            downscale_max=most,
        )
        return LabelledData(folder, options, 5).samples(12)

    plain = spans(0.0, 0.5, 1.0)
    np.testing.assert_array_equal(plain[..., 0], 40 * plain[..., 3])
    np.testing.assert_array_equal(spans(1.0, 1.0, 1.0)[..., 0], 40 * spans(1.0, 1.0, 1.0)[..., 3])
    halved = spans(1.0, 0.5, 0.5)
    # Scaled colours are mixed, so that red is no multiple of 40 any more; labels are not.
    assert np.any(halved[..., 0] != 40 * halved[..., 3])
    assert set(np.unique(halved[..., 3])) <= set(range(5))
    # Away from the edges of regions the two still agree.
    inside = np.all(halved[..., :1] == 40 * halved[..., 3:4], -1)
    assert inside.mean() > 0.5


def test_cache_is_bounded(folder):
    from tfhific.data.labelled import LabelledCropSource, LabelledFiles, pair_labels

    paths = [str(folder / f"{number}.png") for number in range(3)]
    files = LabelledFiles(pair_labels(paths, folder.parent / "street_labels"), 5)
    reads = []
    read = files.read
    files.read = lambda position: reads.append(position) or read(position)
    one = 40 * 70 * 4
    source = LabelledCropSource(files, 16, cache_bytes=one + 1)
    for number in range(9):
        source(number)
    # One of the three is kept, the others are read each time.
    assert len(reads) == 1 + 3 + 3
