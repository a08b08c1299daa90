"""An output is told from every input, however they are spelled."""

from __future__ import annotations

import os

import pytest

from tfhific.errors import OutputError
from tfhific.files.file_kinds import refuse_other_kind
from tfhific.files.own_inputs import refuse_own_input


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working folder with `a.jpg`, other names of it, another file and a model's folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "other.jpg", "models/m/model.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    os.symlink("a.jpg", "symbolic")
    os.symlink("symbolic", "twice")
    os.link("a.jpg", "hard")
    os.symlink(".", "here")
    return tmp_path


@pytest.mark.parametrize(
    "output", ["a.jpg", "./a.jpg", "models/../a.jpg", "symbolic", "twice", "hard", "here/a.jpg"]
)
def test_input_in_any_spelling_is_refused(output, work):
    for written, read in ((output, "a.jpg"), ("a.jpg", output), (os.path.abspath(output), output)):
        with pytest.raises(OutputError, match="would be lost") as caught:
            refuse_own_input(written, [None, "other.jpg", read])
        assert "\n" not in str(caught.value)


def test_other_files_missing_ones_and_devices_are_no_inputs(work):
    for output in ("other.jpg", "new.tfh", "missing/x", "/dev/null", "models"):
        refuse_own_input(output, ["a.jpg", "missing", "/dev/null", None, "models"])


def test_files_of_a_folder_that_is_read_are_inputs(work):
    os.link("models/m/model.safetensors", "out.pt")
    for output in ("out.pt", "here/models/m/model.safetensors"):
        with pytest.raises(OutputError, match=r"the input models/m/model\.safetensors"):
            refuse_own_input(output, ["models/m"])


def test_names_of_other_kinds_are_refused_and_unknown_ones_are_not(work):
    for name in ("a.png", "a.JPEG", "a.heic", "a.txt", "a.safetensors", "dir/a.zip", "a.tfh.png"):
        with pytest.raises(OutputError, match="`force_name`"):
            refuse_other_kind(name, [".tfh"], "a compressed picture")
    for name in ("a.tfh", "A.TFH", "a.png.tfh", "a", "-", "/dev/null", "tmp.x8Fq2", "a.jpg/b"):
        refuse_other_kind(name, [".tfh"], "a compressed picture")
    for name in ("a", "a.x8Fq2", "a.tfh"):
        with pytest.raises(OutputError, match=r"expected a name that ends in \.png"):
            refuse_other_kind(name, [".png"], "a picture", chooses_format=True)
