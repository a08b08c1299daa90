"""What a declared interface asks for, and what an object lacks of it."""

from __future__ import annotations

import types
from typing import Protocol

import pytest

from tfhific.data.source import Pictures, RunData, check_run_data
from tfhific.errors import TfhificError
from tfhific.interface import lacking, members


class Named(Protocol):
    title: str

    def rename(self, title: str) -> None: ...


class Shelf(Named, Protocol):
    @property
    def height(self) -> int: ...

    def __len__(self) -> int: ...


def test_members_are_what_an_interface_and_those_it_extends_declare():
    assert members(Named) == ["rename", "title"]
    assert members(Shelf) == ["__len__", "height", "rename", "title"]
    assert members(Pictures) == ["__len__", "left_out", "name", "read"]


def test_all_that_an_object_lacks_is_named():
    assert lacking([], Shelf) == ["height", "rename", "title"]
    whole = types.SimpleNamespace(title="", rename=print, height=1)
    assert lacking(whole, Shelf) == ["__len__"]
    assert lacking(whole, Named) == []


def test_data_of_a_run_is_refused_for_what_it_lacks():
    whole = types.SimpleNamespace(
        count=1, skipped={}, batches=None, samples=None, describe=lambda: "one"
    )
    assert check_run_data(whole, "mine") is whole
    del whole.samples, whole.skipped
    with pytest.raises(TfhificError, match=r"`open_data` of Own gives .* lacks samples, skipped"):
        check_run_data(whole, "`open_data` of Own")


def test_every_kind_of_data_is_data_of_a_run(tmp_path, photo):
    import numpy as np
    from PIL import Image

    from tfhific.data.folders import Files
    from tfhific.data.images import ImageData
    from tfhific.data.labelled import LabelledData
    from tfhific.data.square import SquareData
    from tfhific.models.options import TrainingOptions

    (tmp_path / "a").mkdir()
    (tmp_path / "a_labels").mkdir()
    Image.fromarray(photo(16, 16)).save(tmp_path / "a" / "x.png")
    Image.fromarray(np.zeros([16, 16], np.uint8)).save(tmp_path / "a_labels" / "x.png")
    options = TrainingOptions(batch_size=1, crop=16)
    for data in (
        ImageData(Files([str(tmp_path / "a" / "x.png")]), 16, 1),
        LabelledData(tmp_path / "a", options, 2),
        SquareData(tmp_path / "a", options, 8, 1),
    ):
        assert lacking(data, RunData) == []
