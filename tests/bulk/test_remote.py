"""Object stores, by one in memory: what is listed, and that an object is whole or not there."""

from __future__ import annotations

import datetime
import pickle
import uuid

import pytest

from tfhific.bulk import s3_pages
from tfhific.bulk.opening import open_place
from tfhific.bulk.places import Found
from tfhific.bulk.plan import is_plain, plan
from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS

fsspec = pytest.importorskip("fsspec", reason="needs requirements-bulk.txt")
local = pytest.importorskip("fsspec.implementations.local")
memory = pytest.importorskip("fsspec.implementations.memory")


@pytest.fixture
def place():
    return open_place(f"memory://{uuid.uuid4().hex}/photos/")


def test_what_is_written_is_read_listed_and_removed(place):
    assert place.files() == {}
    place.write("a/b.png", b"12345", overwrite=False)
    place.write("c.png", b"1", overwrite=False)
    found = place.files()
    assert {path: facts.bytes for path, facts in found.items()} == {"a/b.png": 5, "c.png": 1}
    assert found["c.png"].modified >= found["a/b.png"].modified > 10**18
    assert (place.read("a/b.png"), place.read("a/b.png", 2), place.read("c.png", 99)) == (
        b"12345",
        b"12",
        b"1",
    )
    assert place.shown("c.png") == f"{place.name}/c.png"
    place.remove("c.png")
    place.remove("c.png")
    assert list(place.files()) == ["a/b.png"]


def test_nothing_is_replaced_unless_asked(place):
    place.write("a.tfh", b"first", overwrite=False)
    with pytest.raises(OutputError, match="is there already"):
        place.write("a.tfh", b"second", overwrite=False)
    assert place.read("a.tfh") == b"first"
    place.write("a.tfh", b"third", overwrite=True)
    assert place.read("a.tfh") == b"third"


def test_what_is_not_there_is_a_line(place):
    with pytest.raises(TfhificError, match=r"none\.png: can't be read"):
        place.read("none.png")
    with pytest.raises(TfhificError, match="expected a folder; there is none"):
        place.taken(IMAGE_EXTENSIONS, True, ())


def test_a_place_goes_to_other_processes_as_its_name(place):
    place.write("a.png", b"1", overwrite=False)
    other = pickle.loads(pickle.dumps(place))
    assert (other.name, list(other.files())) == (place.name, ["a.png"])


@pytest.mark.parametrize("recursive", [False, True])
def test_a_store_is_planned_as_a_folder_is(place, tmp_path, recursive):
    folder = open_place(str(tmp_path))
    for path in ("a.png", "a.JPG", "b.webp", "deep/c.png", "note.txt", "._d.png", "e.tfh"):
        for each in (place, folder):
            each.write(path, b"x", overwrite=False)
    plans = []
    for each in (place, folder):
        out = open_place(f"memory://{uuid.uuid4().hex}/out")
        found = plan(
            *(each, out, out.files(), {}),
            extensions=IMAGE_EXTENSIONS,
            suffix=CODED_EXTENSION,
            ignored=(CODED_EXTENSION,),
            recursive=recursive,
        )
        pairs = [(task.source, task.destination) for task in found.tasks]
        plans.append((pairs, found.left_out.facts(), found.problems))
    assert plans[0] == plans[1]
    assert len(plans[0][0]) == 3 + recursive


class Slow(local.LocalFileSystem):
    """Files that do not appear whole, as over SFTP; an upload may end early."""

    protocol = "slow"
    cut = False

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        with open(path, "wb") as file:
            file.write(value[: len(value) // 2])
            if type(self).cut:
                raise OSError("connection lost")
            file.write(value[len(value) // 2 :])


def test_an_upload_that_ends_early_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    fsspec.register_implementation("slow", Slow, clobber=True)
    place = open_place(f"slow://{tmp_path}/out")
    place.write("a.tfh", b"whole", overwrite=False)
    monkeypatch.setattr(Slow, "cut", True)
    for name, overwrite in (("b.tfh", False), ("a.tfh", True)):
        with pytest.raises(OutputError, match="connection lost"):
            place.write(name, b"another", overwrite)
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == {
        "a.tfh": b"whole"
    }


def test_keys_that_lead_elsewhere_are_told_and_not_followed(place):
    key = f"/{place.name.partition('://')[2]}/x/../../up.png"
    system = memory.MemoryFileSystem()
    system.store[key] = memory.MemoryFile(system, key, b"1")
    place.write("fine.png", b"1", overwrite=False)
    out = open_place(f"memory://{uuid.uuid4().hex}/out")
    found = plan(
        *(place, out, {}, {}),
        extensions=IMAGE_EXTENSIONS,
        suffix=CODED_EXTENSION,
        ignored=(),
        recursive=True,
    )
    assert [task.source for task in found.tasks] == ["fine.png"]
    assert all(is_plain(task.destination) for task in found.tasks)
    assert len(found.problems) == 1
    assert "up.png" in found.problems[0]


class Paged:
    """Answers as S3 does: so many keys, in pages.

    Attributes:
      asked: how many pages were.
    """

    def __init__(self, count: int, stuck: bool = False) -> None:
        self._keys = [f"photos/{number:05d}.png" for number in range(count)] + ["photos/below/"]
        self._stuck = stuck
        self.asked = 0

    def call(self, method, *, Bucket, Prefix, MaxKeys, ContinuationToken="0"):
        assert (method, Bucket, Prefix) == ("list_objects_v2", "shop", "photos/")
        self.asked += 1
        begin = int(ContinuationToken)
        end = begin + MaxKeys
        time = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
        contents = [
            {"Key": key, "Size": 7, "LastModified": time, "ETag": "x"}
            for key in self._keys[begin:end]
        ]
        more = {"NextContinuationToken": "0" if self._stuck else str(end)}
        left = end < len(self._keys)
        return {"Contents": contents, "IsTruncated": left, **(more if left else {})}


def test_a_page_is_asked_for_when_the_one_before_is_taken():
    server = Paged(2 * s3_pages.PAGE + 5)
    found = s3_pages.listed(server.call, "shop", "photos/")
    assert server.asked == 0
    asked = [server.asked for _ in found]
    assert asked == [1] * s3_pages.PAGE + [2] * s3_pages.PAGE + [3] * 5


def test_a_listing_that_repeats_itself_ends():
    server = Paged(3 * s3_pages.PAGE, stuck=True)
    with pytest.raises(OSError, match="does not come to an end"):
        list(s3_pages.listed(server.call, "shop", "photos/"))
    assert server.asked < 5


def test_a_bucket_is_listed_by_pages(place, monkeypatch):
    server = Paged(s3_pages.PAGE + 1)
    monkeypatch.setattr(memory.MemoryFileSystem, "protocol", "s3")
    methods = {"call_s3": server.call, "split_path": lambda root: ("shop", "photos", None)}
    for name, method in methods.items():
        monkeypatch.setattr(memory.MemoryFileSystem, name, staticmethod(method), raising=False)
    place._root = "shop/photos"
    found = place.taken(IMAGE_EXTENSIONS, False, ())[0]
    assert len(found) == s3_pages.PAGE + 1
    assert found["00000.png"] == Found(7, 1_767_225_600 * 10**9)
