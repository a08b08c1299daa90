"""Outputs' names follow from the list of names, and no two are alike."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from tfhific.files.file_kinds import IMAGE_EXTENSIONS
from tfhific.files.pairing import Entry, output_names, pair

STEMS = st.sampled_from(["", "1", "2", "a", "A", "1.jpg", "1.webp", "1.jpg.png", "d/1", "d/1.jpg"])
ENDINGS = st.sampled_from([".jpg", ".webp", ".png", ".JPG"])
PATHS = st.lists(st.builds(str.__add__, STEMS, ENDINGS), unique=True, max_size=12)
CODED = st.sampled_from([".tfh", ".TFH", ".jpg.tfh", ".tfh.tfh"])
CODED_PATHS = st.lists(st.builds(str.__add__, STEMS, CODED), unique=True, max_size=12)


def coded_names(paths) -> dict[str, str]:
    return output_names(paths, extensions=IMAGE_EXTENSIONS, suffix=".tfh")


def decoded_names(paths) -> dict[str, str]:
    return output_names(paths, extensions=(".tfh",), suffix=".png")


@given(PATHS, CODED_PATHS)
def test_no_two_outputs_are_alike_and_each_is_short_or_whole(paths, coded):
    for names, suffix in ((coded_names(paths), ".tfh"), (decoded_names(coded), ".png")):
        assert len(set(names.values())) == len(names)
        # Upper and lower case alone tell no outputs apart but where that is so of the sources.
        folded = {path.casefold() for path in names}
        assert len({name.casefold() for name in names.values()}) == len(folded)
        for path, name in names.items():
            assert name in (os.path.splitext(path)[0] + suffix, path + suffix)


@given(PATHS, st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order(paths, random):
    shuffled = list(paths)
    random.shuffle(shuffled)
    assert coded_names(shuffled) == coded_names(paths)


@given(PATHS)
def test_coded_folder_gives_every_picture_a_name_of_its_own_back(paths):
    back = decoded_names(list(coded_names(paths).values()))
    assert len(set(back.values())) == len(paths)


@given(PATHS, st.builds(str.__add__, STEMS, ENDINGS))
def test_picture_that_comes_later_never_gets_the_name_of_what_was_made_before(paths, later):
    before = coded_names([path for path in paths if path != later])
    assert coded_names([*before, later])[later] not in before.values()


def test_name_of_its_own_stem_is_short_and_shared_ones_keep_their_endings():
    assert coded_names(["1.jpg", "1.webp", "2.png", "3.jpg.png", "d/1.jpg"]) == {
        "1.jpg": "1.jpg.tfh",
        "1.webp": "1.webp.tfh",
        "2.png": "2.tfh",
        "3.jpg.png": "3.jpg.png.tfh",
        "d/1.jpg": "d/1.tfh",
    }
    assert decoded_names(["1.jpg.tfh", "1.webp.tfh", "1.tfh"]) == {
        "1.jpg.tfh": "1.jpg.png",
        "1.webp.tfh": "1.webp.png",
        "1.tfh": "1.png",
    }


def test_state_follows_from_what_is_there_and_the_times():
    sources = [Entry(name, 10) for name in ("d.png", "a.png", "b.png", "c.png")]
    present = {"b.tfh": 10, "c.tfh": 9, "d.tfh": None, "e.tfh": 99}
    rules = {"extensions": (".png",), "suffix": ".tfh"}
    states = {each.source: each.state for each in pair(sources, present, **rules)}
    assert states == {"a.png": "new", "b.png": "done", "c.png": "outdated", "d.png": "done"}
    assert list(states) == sorted(states)
    again = pair(sources, present, overwrite=True, **rules)
    assert {each.state for each in again} == {"new"}
