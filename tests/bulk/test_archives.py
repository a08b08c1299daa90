"""Archives are read as the folders that they were made of, whatever else is in them."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile

import pytest

from tfhific.bulk.opening import open_place
from tfhific.bulk.plan import plan
from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS

FILES = {
    "a.png": b"first" * 300,
    "shard/0001.jpg": b"second",
    "shard/0001.cls": b"7",
    "._a.png": b"x",
    "b.webp": b"",
}


def pack(path, files) -> str:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files:
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w") as archive:
            for name, data in files:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return str(path)


def planned(sources, tmp_path):
    out = open_place(str(tmp_path / "out"))
    kinds = {"extensions": IMAGE_EXTENSIONS, "suffix": ".tfh", "ignored": (CODED_EXTENSION,)}
    return plan(sources, out, {}, {}, recursive=True, **kinds)


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_an_archive_is_planned_and_read_as_its_folder(tmp_path, ending):
    for name, data in FILES.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    place = open_place(pack(tmp_path / f"x{ending}", FILES.items()))
    folder = open_place(str(tmp_path / "in"))
    of_archive, of_folder = planned(place, tmp_path), planned(folder, tmp_path)
    names = [(task.source, task.destination, task.found.bytes) for task in of_archive.tasks]
    assert names == [(t.source, t.destination, t.found.bytes) for t in of_folder.tasks]
    assert len(names) == 3
    assert of_archive.left_out.facts() == of_folder.left_out.facts()
    for other in (place, pickle.loads(pickle.dumps(place))):
        assert {name: other.read(name) for name in FILES} == FILES
        assert other.read("a.png", 7) == b"firstfi"


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_members_that_lead_elsewhere_or_come_twice(tmp_path, ending):
    files = [("../up.png", b"1"), ("/top.png", b"2"), ("a.png", b"old"), ("a.png", b"new")]
    with pytest.warns(UserWarning, match="Duplicate") if ending == ".zip" else _nothing():
        place = open_place(pack(tmp_path / f"x{ending}", files))
    found = planned(place, tmp_path)
    assert [task.source for task in found.tasks] == ["a.png"]
    assert len(found.problems) == 2
    assert place.read("a.png") == b"new"


def test_links_and_devices_of_a_tar_are_not_read(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in (
            ("l.png", tarfile.SYMTYPE),
            ("h.png", tarfile.LNKTYPE),
            ("d.png", tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("a.png"))
    found = planned(open_place(str(tmp_path / "x.tar")), tmp_path)
    assert [task.source for task in found.tasks] == ["a.png"]
    assert found.left_out.facts() == {"pipes_and_devices": 3}


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_what_is_cut_or_no_archive_is_a_line(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"no archive" * 100)
    with pytest.raises(TfhificError, match="expected a zip file or a tar without compression"):
        open_place(str(path))
    place = open_place(pack(path, [("a.png", bytes(range(256)) * 400)]))
    data = path.read_bytes()
    path.write_bytes(data[:200] + b"\xff" * 50 + data[250:] if ending == ".zip" else data[:900])
    with pytest.raises(TfhificError, match=r"a\.png: can't be read"):
        place.read("a.png")
    with pytest.raises(TfhificError, match=r"none\.png: can't be read"):
        place.read("none.png")


def test_nothing_is_written_into_an_archive(tmp_path):
    place = open_place(pack(tmp_path / "x.zip", FILES.items()))
    for call in (
        place.files,
        lambda: place.write("a.tfh", b"", True),
        lambda: place.remove("a.png"),
    ):
        with pytest.raises(OutputError):
            call()


def _nothing():
    import contextlib

    return contextlib.nullcontext()
