"""Checkpoints as people have them: settings of argparse, compiled models, files zipped again."""

from __future__ import annotations

import argparse
import collections
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from tfhific.errors import ModelError
from tfhific.interop import torch_checkpoint
from tfhific.interop.hific_checkpoint import _state
from tfhific.interop.pickle_reader import read_pickle
from tfhific.interop.torch_checkpoint import read_checkpoint
from tfhific.interop.torch_writer import write_checkpoint

RNG = np.random.default_rng(0)
STATE = {
    "a": RNG.normal(size=[20, 30]).astype(np.float32),
    "b": np.array(2.5),
    "c": np.zeros([0, 3], np.float16),
    "d": np.arange(1000, dtype=np.int64),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_settings_of_argparse_are_a_dict_of_their_values(protocol):
    settings = argparse.Namespace(regime="low", dims=(3, 256, 256), nested=argparse.Namespace(x=1))
    found = read_pickle(io.BytesIO(pickle.dumps({"args": settings}, protocol)))
    assert found == {"args": {"regime": "low", "dims": (3, 256, 256), "nested": {"x": 1}}}


class Loud(argparse.Namespace):
    """A class that says when it is made."""

    made: list = []  # noqa: RUF012 (shared on purpose)

    def __setstate__(self, state):
        self.made.append(state)


@pytest.mark.parametrize(
    "program",
    [
        pickle.dumps(Loud(x=1), 2),
        # A Namespace made of arguments, called, or given a state that is none.
        b"\x80\x02cargparse\nNamespace\nK\x01\x85\x81.",
        b"\x80\x02cargparse\nNamespace\n)R.",
        b"\x80\x02cargparse\nNamespace\n)\x81]b.",
        b"\x80\x02cargparse\nArgumentParser\n)\x81.",
        b"\x80\x02cargparse\n_os\n.",
        b"\x80\x02}X\x01\x00\x00\x00a)\x81.",
    ],
    ids=range(7),
)
def test_nothing_but_argparses_plain_settings_is_made(program):
    with pytest.raises(ModelError):
        read_pickle(io.BytesIO(program))
    assert Loud.made == []


def test_torchs_reader_takes_the_settings_too(tmp_path):
    torch = pytest.importorskip("torch")
    contents = {"w": torch.arange(3.0), "args": argparse.Namespace(regime="low", x=(1, 2))}
    torch.save(contents, tmp_path / "a.pt")
    for use_torch in (None, False, True):
        found = read_checkpoint(tmp_path / "a.pt", use_torch)
        assert found["args"] == {"regime": "low", "x": (1, 2)}
        np.testing.assert_array_equal(found["w"], [0, 1, 2])


@pytest.mark.parametrize(
    "name",
    [
        "{}",
        "module.{}",
        "_orig_mod.{}",
        "module._orig_mod.{}",
        "_orig_mod.module.{}",
        "_orig_mod._orig_mod.{}",
    ],
)
def test_wrappers_names_are_left_out(name):
    names = ["Encoder.conv_block1.1.weight", "Generator.x.bias"]
    state = {name.format(plain): np.zeros(1, np.float32) for plain in names}
    assert list(_state({"model_state_dict": state})) == names


def test_part_that_was_compiled_alone_is_known_and_a_name_twice_is_refused():
    state = {"Encoder._orig_mod.conv.weight": np.zeros(1, np.float32)}
    assert list(_state({"model_state_dict": state})) == ["Encoder.conv.weight"]
    state["module.Encoder.conv.weight"] = np.ones(1, np.float32)
    with pytest.raises(ModelError, match=r"two tensors for 'Encoder\.conv\.weight'"):
        _state({"model_state_dict": state})


def zipped_again(path, folder="archive/", method=zipfile.ZIP_DEFLATED, change=None):
    """Unpacks a checkpoint and zips it again, as a file manager does."""
    with zipfile.ZipFile(path) as archive:
        entries = {e.filename: archive.read(e) for e in archive.infolist()}
    if change:
        change(entries)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(folder + name.split("/", 1)[1], data)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "state.pt"
    write_checkpoint(path, {"state": collections.OrderedDict(STATE)})
    return path


@pytest.mark.parametrize("folder", ["archive/", "another name/", ""])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_file_that_was_zipped_again_is_read(folder, method, written):
    zipped_again(written, folder, method)
    for use_torch in (None, False) if folder == "archive/" else (False,):
        found = read_checkpoint(written, use_torch)["state"]
        for name, value in STATE.items():
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)


def test_other_compression_is_refused_with_what_to_do(written):
    zipped_again(written, method=zipfile.ZIP_BZIP2)
    with pytest.raises(ModelError, match="zip it again"):
        read_checkpoint(written, False)


def test_torch_alone_is_not_given_compressed_bytes_as_numbers(written):
    zipped_again(written)
    with pytest.raises(ModelError, match="with compression"):
        read_checkpoint(written, True)


def test_damaged_compressed_tensors_are_told(written):
    zipped_again(written)
    with zipfile.ZipFile(written) as archive:
        entry = next(e for e in archive.infolist() if e.filename == "archive/data/0")
    data = bytearray(written.read_bytes())
    start = entry.header_offset + 30 + len(entry.filename)
    for place in range(start + 20, start + entry.compress_size, 311):
        damaged = data.copy()
        damaged[place] ^= 0x55
        written.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"damaged|cut short"):
            read_checkpoint(written, False)


def test_shorter_compressed_entries_are_told(written):
    zipped_again(written, change=lambda e: e.update({"archive/data/0": b"1234"}))
    with pytest.raises(ModelError, match="has 4 bytes; expected 2400"):
        read_checkpoint(written, False)


def test_tensors_that_grow_out_of_few_bytes_are_refused(written, monkeypatch):
    import tracemalloc

    monkeypatch.setattr(torch_checkpoint, "_ROOM", 1 << 16)
    zeros = {str(n): np.zeros([1 << 20], np.float32) for n in range(4)}
    write_checkpoint(written, {"state": zeros}, overwrite=True)
    zipped_again(written)
    assert written.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(ModelError, match="grow beyond"):
        read_checkpoint(written, False)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_entry_that_lies_about_its_size_takes_no_memory(written, monkeypatch):
    """The directory says 2^31 bytes where a few deflated ones are."""
    import tracemalloc

    monkeypatch.setattr(torch_checkpoint, "_ROOM", 1 << 40)
    zipped_again(written)
    data = bytearray(written.read_bytes())
    place = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    while b"data/0" not in data[place : place + 80]:
        place = data.index(b"PK\x01\x02", place + 1)
    data[place + 24 : place + 28] = struct.pack("<I", 1 << 31)
    # The pickle's storage of "a" says as many elements: a view of fewer is within it.
    written.write_bytes(data)
    with zipfile.ZipFile(written) as archive:
        entry = archive.getinfo("archive/data/0")
    tracemalloc.start()
    with pytest.raises(ModelError, match=r"cut short|damaged"):
        torch_checkpoint._inflated(str(written), entry, 1 << 31)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
