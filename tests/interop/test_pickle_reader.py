"""Checkpoints are read without executing them: hostile ones are refused, damaged ones told."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import pickletools
import struct
import sys
import zipfile

import numpy as np
import pytest

from tfhific.errors import ModelError
from tfhific.interop.pickle_reader import read_pickle
from tfhific.interop.torch_checkpoint import read_checkpoint
from tfhific.interop.torch_writer import write_checkpoint

VALUES = {
    "numbers": [0, 1, -1, 255, 70000, -(1 << 40), 1 << 70, 0.5, float("inf")],
    "texts": ["", "a", "ä" * 300, "x" * 70000],
    "plain": (None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "nested": {"a": {"b": [{"c": ()}]}, 3: [[]], (1, "x"): b"bytes"},
    "ordered": collections.OrderedDict(a=1, b=2),
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_read_as_pickle_reads_them(protocol):
    shared = [1, 2]
    values = {**VALUES, "twice": [shared, shared]}
    if protocol < 3:
        values["nested"] = {"a": {"b": [{"c": ()}]}}
    found = read_pickle(io.BytesIO(pickle.dumps(values, protocol)))
    assert found == values
    assert found["twice"][0] is found["twice"][1]


def test_numpy_numbers_are_read_as_numbers():
    values = [np.float64(0.1), np.float32(0.5), np.int64(-3), np.bool_(True)]
    for protocol in (2, 4):
        found = read_pickle(io.BytesIO(pickle.dumps(values, protocol)))
        assert found == values
        assert not any(isinstance(value, np.generic) for value in found)


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("true",)),
        (eval, ("1",)),
        (exec, ("pass",)),
        (open, ("/dev/null",)),
        (getattr, (1, "real")),
        (__import__, ("os",)),
        (bytearray, (1 << 40,)),
        (np.zeros, (3,)),
        (collections.Counter, ("x",)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_that_call_anything_else_are_refused(function, arguments, protocol, tmp_path):
    marker = tmp_path / "executed"
    if function is os.system:
        arguments = (f"touch {marker}",)
    elif function is open:
        arguments = (str(marker), "w")
    data = pickle.dumps({"args": Call(function, *arguments)}, protocol)
    with pytest.raises(ModelError, match=r"refused|damaged"):
        read_pickle(io.BytesIO(data))
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    for use_torch in (None, False):
        with pytest.raises(ModelError, match=r"evil\.pt"):
            read_checkpoint(path, use_torch)
    assert not marker.exists()


def assembled(*parts: bytes) -> io.BytesIO:
    return io.BytesIO(b"\x80\x02" + b"".join(parts) + b".")


@pytest.mark.parametrize(
    "parts",
    [
        (b"cos\nsystem\n", b"X\x04\x00\x00\x00true", b"\x85R"),
        (b"}X\x01\x00\x00\x00a\x85R",),
        (b"ctorch\nFloatStorage\n)R",),
        (b"(ios\nsystem\n",),
        (b"(X\x01\x00\x00\x00aocollections\nOrderedDict\n",),
        (b"ccollections\nOrderedDict\n)\x81",),
        (b"}K\x01b",),
        (b"]}b",),
        (b"X\x01\x00\x00\x00aQ",),
        (b"\x82\x01",),
        (b"u",),
        (b"e",),
        (b"t",),
        (b"0",),
        (b"\x85",),
        (b"K\x01\x86",),
        (b"h\x07",),
        (b"}K\x01s",),
        (b"}]K\x01s",),
        (b"]K\x01K\x02a",),
        (b"}(K\x01K\x02",),
    ],
    ids=range(21),
)
def test_malformed_and_strange_programs_are_refused(parts):
    with pytest.raises(ModelError):
        read_pickle(assembled(*parts))


# A tuple of itself twice, again and again: few bytes, but endless once written out or hashed.
ENDLESS = b")" + b"q\0h\0\x86" * 200
# A tuple in a tuple, deeper than a stack of calls can follow.
DEEP = b")" + b"\x85" * 60_000


@pytest.mark.parametrize("value", [ENDLESS, DEEP], ids=["endless", "deep"])
@pytest.mark.parametrize(
    "frame",
    [
        "}{}K\1s",
        "}({}K\1u",
        "({}K\1d",
        "{}Q",
        "(X\7\0\0\0storagectorch\nFloatStorage\n{}X\3\0\0\0cpuK\6tQ",
        "cnumpy\ndtype\n{}\x85R",
        "ctorch\ndevice\n{}\x85R",
        "ctorch\nSize\n{}\x85R",
        "ccollections\nOrderedDict\n({}K\1\x86t\x85R",
        "ctorch._utils\n_rebuild_tensor_v2\n({}K\0K\0K\0tR",
        "{}X\1\0\0\0a\x93",
    ],
    ids=range(11),
)
def test_values_without_end_are_refused_wherever_they_stand(frame, value):
    before, after = frame.encode("latin-1").split(b"{}")
    with pytest.raises(ModelError):
        read_pickle(assembled(before, value, after))


def test_calls_that_copy_more_and_more_are_stopped(monkeypatch):
    monkeypatch.setattr("tfhific.interop.pickle_reader._MAX_MADE", 5000)
    text = b"X\xe8\3\0\0" + b"a" * 1000 + b"q\0"
    once = b"c_codecs\nencode\nh\0X\6\0\0\0latin1\x86R"
    assert len(read_pickle(assembled(b"(", text, once * 5, b"l"))) == 6
    with pytest.raises(ModelError, match="too much"):
        read_pickle(assembled(b"(", text, once * 6, b"l"))


def test_cut_pickles_are_told_wherever_they_are_cut():
    data = pickle.dumps(VALUES, 2)
    for end in range(0, len(data), 997):
        with pytest.raises(ModelError):
            read_pickle(io.BytesIO(data[:end]))


def test_flipped_bits_end_in_a_value_or_an_error():
    data = pickle.dumps({k: v for k, v in VALUES.items() if k != "texts"}, 2)
    rng = np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        with contextlib.suppress(ModelError):
            read_pickle(io.BytesIO(bytes(damaged)))


STATE = {
    "a": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "b": np.array(2.5),
    "c": np.zeros([0, 3], np.float16),
    "d": np.array([1, -2], np.int64),
    "e": np.array([True, False]),
}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "state.pt"
    write_checkpoint(path, {"state": collections.OrderedDict(STATE), "args": {"x": (1, [2.5])}})
    return path


@pytest.mark.parametrize("use_torch", [True, False])
def test_what_is_written_comes_back(written, use_torch):
    if use_torch:
        pytest.importorskip("torch")
    found = read_checkpoint(written, use_torch)
    assert found["args"] == {"x": (1, [2.5])}
    assert list(found["state"]) == list(STATE)
    for name, value in STATE.items():
        assert found["state"][name].dtype == value.dtype
        np.testing.assert_array_equal(found["state"][name], value)


def test_a_torch_that_cannot_be_imported_is_as_none(written, tmp_path, monkeypatch):
    broken = tmp_path / "packages" / "torch"
    broken.mkdir(parents=True)
    text = "libcudnn.so.9: cannot open shared object file"
    (broken / "__init__.py").write_text(f"raise ImportError({text!r})\n")
    monkeypatch.syspath_prepend(broken.parent)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert list(read_checkpoint(written)["state"]) == list(STATE)
    with pytest.raises(ModelError, match=r"torch can't be imported .* libcudnn\.so\.9"):
        read_checkpoint(written, True)


def test_written_checkpoints_are_sound_zip_files_with_aligned_tensors(written):
    with zipfile.ZipFile(written) as archive:
        assert archive.testzip() is None
        for entry in archive.infolist():
            start = entry.header_offset
            names = struct.unpack("<HH", written.read_bytes()[start + 26 : start + 30])
            assert (start + 30 + sum(names)) % 64 == 0
        pickletools.dis(archive.read("archive/data.pkl"), io.StringIO())


@pytest.mark.parametrize("legacy", [False, True])
def test_own_reader_reads_what_torch_writes_in_both_formats(legacy, tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.randn(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    contents = {
        "model": layer.state_dict(),
        "optimizer": optimizer.state_dict(),
        "more": {
            "transposed": torch.randn(4, 6).t(),
            "part": torch.randn(10)[3:7],
            "half": torch.randn(3).half(),
            "bfloat16": torch.randn(3).bfloat16(),
            "parameter": torch.nn.Parameter(torch.randn(2, 2)),
            "scalar": torch.tensor(3),
        },
        "args": {"device": torch.device("cpu"), "loss": np.float64(0.5), "dims": (3, 256, 256)},
    }
    path = tmp_path / "torch.pt"
    torch.save(contents, path, _use_new_zipfile_serialization=not legacy)
    # With torch or without: its loader refuses NumPy's number, ours does not.
    for use_torch in (False, None):
        found = read_checkpoint(path, use_torch)
        for part in ("model", "more"):
            for name, value in contents[part].items():
                expected = value.detach()
                expected = expected.float() if name == "bfloat16" else expected
                np.testing.assert_array_equal(found[part][name], expected.numpy())
        assert found["args"] == {"device": "cpu", "loss": 0.5, "dims": (3, 256, 256)}
        assert len(found["optimizer"]["state"]) == 4


def rewritten(path, change) -> None:
    """Changes the entries of a zip file, a dict of bytes by name."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    change(entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.pop("archive/data/0"), "missing"),
        (lambda e: e.update({"archive/data/0": b"1234"}), "bytes; expected"),
        (lambda e: e.pop("archive/data.pkl"), "not a checkpoint"),
        (lambda e: e.update({"x/data.pkl": b"."}), "not a checkpoint"),
        (lambda e: e.update({"archive/byteorder": b"big"}), "big-endian"),
        (lambda e: e.update({"archive/data.pkl": b"\x80\x02"}), "pickle"),
    ],
    ids=range(6),
)
def test_archives_with_parts_missing_are_told(change, said, written):
    rewritten(written, change)
    with pytest.raises(ModelError, match=said):
        read_checkpoint(written, False)


def test_cut_archives_are_told(written):
    data = written.read_bytes()
    for end in (0, 1, 20, len(data) // 2, len(data) - 1):
        written.write_bytes(data[:end])
        for use_torch in (None, False):
            with pytest.raises(ModelError, match=r"state\.pt"):
                read_checkpoint(written, use_torch)


def test_compressed_archives_are_refused_before_they_are_expanded(written):
    with zipfile.ZipFile(written) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    entries["archive/data.pkl"] = bytes(100 << 20)
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match="at most 67,108,864 bytes"):
        read_checkpoint(written, False)


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "count"),
    [
        ((1 << 40,), (0,), 0, 24),
        ((1 << 20, 1 << 20), (0, 0), 0, 24),
        ((5, 5), (5, 1), 0, 24),
        ((4,), (1,), 21, 24),
        ((4,), (1,), -1, 24),
        ((-4,), (1,), 0, 24),
        ((4,), (-1,), 8, 24),
        ((4, 4), (1,), 0, 24),
        ((1,) * 20, (1,) * 20, 0, 24),
        ((4,), (1,), 0, 1 << 50),
        ((4,), (1,), 0, -1),
    ],
    ids=range(11),
)
def test_tensors_beyond_their_storage_are_refused(shape, strides, offset, count, written):
    from tfhific.interop import torch_writer

    pickler = torch_writer._Pickler()
    out = pickler._out
    out += b"\x80\x02" + torch_writer._REBUILD + b"("
    pickler._save_all(["storage"])
    out += b"ctorch\nFloatStorage\n"
    for part in ("0", "cpu", count):
        pickler._save(part)
    out += b"tQ"
    for part in (offset, shape, strides, False):
        pickler._save(part)
    out += torch_writer._ORDERED + b")RtR."
    rewritten(written, lambda e: e.update({"archive/data.pkl": bytes(out)}))
    with pytest.raises(ModelError):
        read_checkpoint(written, False)


def test_containers_of_containers_without_end_are_told(written):
    value: list = [1]
    for _ in range(50):
        value = [value] * 2
    endless: list = []
    endless.append(endless)
    for contents in (value, endless):
        data = pickle.dumps(contents, 2)
        rewritten(written, lambda e, d=data: e.update({"archive/data.pkl": d}))
        for use_torch in (None, False):
            with pytest.raises(ModelError, match="nested too deeply"):
                read_checkpoint(written, use_torch)


@pytest.mark.parametrize("data", [b"", b"x", b"PK\x03\x04", bytes(1000), b"\x80\x02."])
def test_files_that_are_no_checkpoints_are_told(data, tmp_path):
    path = tmp_path / "file.pt"
    path.write_bytes(data)
    for use_torch in (None, False):
        with pytest.raises(ModelError, match=r"file\.pt"):
            read_checkpoint(path, use_torch)
    with pytest.raises(ModelError, match="can't be read"):
        read_checkpoint(tmp_path / "missing.pt")


def test_values_that_have_no_place_in_a_checkpoint_are_refused(tmp_path):
    for value in (object(), {1, 2}, np.zeros(2, np.complex64), b"bytes"):
        with pytest.raises(ModelError, match="no place in a checkpoint"):
            write_checkpoint(tmp_path / "no.pt", {"a": value})
    assert not (tmp_path / "no.pt").exists()
