"""How a model is found; and what the models that ship must be."""

from __future__ import annotations

import os
import shutil

import pytest

import tfhific
from tfhific import zoo
from tfhific.errors import BitstreamError, ModelError
from tfhific.published import places
from tfhific.published.store import FILE_NAME, load_model, read_description


def test_model_is_found_by_folder_and_by_name(tiny_search, tiny_published):
    for name in (str(tiny_search / "tiny"), tiny_search / "tiny", "tiny"):
        assert os.path.samefile(zoo.find_by_name(name), tiny_search / "tiny")
        assert tfhific.load(name).fingerprint == tiny_published.fingerprint


def test_model_is_found_by_fingerprint(tiny_search, tiny_published):
    found = zoo.find_by_fingerprint(tiny_published.fingerprint)
    assert os.path.samefile(found, tiny_search / "tiny")


def test_variable_may_name_a_model_itself_and_several_folders(
    tiny_model_folder, tiny_published, tmp_path, monkeypatch
):
    folders = [tmp_path / "missing", tmp_path, "", tiny_model_folder]
    monkeypatch.setenv("TFHIFIC_MODELS", os.pathsep.join(map(str, folders)))
    for found in (zoo.find_by_name("tiny"), zoo.find_by_fingerprint(tiny_published.fingerprint)):
        assert os.path.samefile(found, tiny_model_folder)


def test_own_models_come_before_the_zoo_and_alias_finds_the_edition(
    tiny_model_folder, tmp_path, monkeypatch
):
    shutil.copytree(tiny_model_folder, tmp_path / "mini-v3")
    monkeypatch.setenv("TFHIFIC_MODELS", str(tmp_path))
    for name in ("mini", "mini-v3"):
        assert os.path.samefile(zoo.find_by_name(name), tmp_path / "mini-v3")


def test_unknown_name_is_told_with_the_known_ones(tiny_search):
    for name in ("huge", "", str(tiny_search), "../tiny"):
        with pytest.raises(ModelError, match="tiny") as caught:
            zoo.find_by_name(name)
        assert repr(name) in str(caught.value)
        assert "TFHIFIC_MODELS" in str(caught.value)


@pytest.mark.parametrize("name", zoo.CLONE_ALONE)
def test_what_the_wheel_leaves_out_is_said_to_be_in_a_clone(name, monkeypatch, tmp_path):
    there = zoo.find_by_name(name)
    own = read_description(there)["fingerprint"]
    assert zoo.CLONE_ALONE[name] in (own, "")
    monkeypatch.setattr(places, "zoo_folder", lambda: str(tmp_path))
    with pytest.raises(ModelError, match=f"clone of the repository, tfhific/zoo/{name}"):
        zoo.find_by_name(name)
    if zoo.CLONE_ALONE[name]:
        with pytest.raises(BitstreamError, match=f"made by {name}.*TFHIFIC_MODELS"):
            zoo.find_by_fingerprint(bytes.fromhex(own))
    monkeypatch.setenv("TFHIFIC_MODELS", there)
    assert zoo.find_by_fingerprint(bytes.fromhex(own)) == there


def test_unknown_fingerprint_is_told_with_the_known_ones(tiny_search, tiny_published):
    with pytest.raises(BitstreamError) as caught:
        zoo.find_by_fingerprint(bytes(8))
    message = str(caught.value)
    assert bytes(8).hex() in message
    assert f"tiny ({tiny_published.fingerprint.hex()})" in message
    assert "`model`" in message


def test_damaged_model_in_the_way_does_not_hide_others(
    tiny_model_folder, tiny_published, tmp_path, monkeypatch
):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / FILE_NAME).write_bytes(b"garbage")
    shutil.copytree(tiny_model_folder, tmp_path / "b")
    monkeypatch.setenv("TFHIFIC_MODELS", str(tmp_path))
    found = zoo.find_by_fingerprint(tiny_published.fingerprint)
    assert os.path.samefile(found, tmp_path / "b")
    with pytest.raises(ModelError, match="not a model"):
        tfhific.load("a")


def test_file_finds_the_model_that_made_it(tiny_search, tiny_codec, stranger_codec, photo):
    image = photo(20, 30)
    codec = tfhific.load_for(tiny_codec.compress(image))
    assert codec.name == "tiny"
    with pytest.raises(BitstreamError, match=stranger_codec.fingerprint.hex()):
        tfhific.load_for(stranger_codec.compress(image))
    with pytest.raises(BitstreamError, match=r"Not a \.tfh file"):
        tfhific.load_for(b"\x89PNG")


@pytest.fixture
def shipped(monkeypatch):
    """Folders of the models that ship."""
    monkeypatch.delenv("TFHIFIC_MODELS", raising=False)
    folders = zoo.model_folders()
    if not folders:
        pytest.skip("no model ships yet: tfhific/zoo holds none")
    return folders


def test_shipped_models_load_are_small_and_have_a_card(shipped):
    for name, folder in shipped.items():
        model = load_model(folder)
        assert model.name == name
        assert os.path.getsize(os.path.join(folder, FILE_NAME)) <= 15 << 20
        with open(os.path.join(folder, "MODEL_CARD.md"), encoding="utf-8") as card:
            assert name in card.read()
        assert model.training["step"] > 0
    assert tfhific.load().name == "mini-v3"
