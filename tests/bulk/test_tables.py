"""Parquet files are read row by row, in little memory, whatever their footers say."""

from __future__ import annotations

import pathlib
import pickle

import pytest

from tfhific.bulk import batches
from tfhific.bulk.opening import Columns, open_place
from tfhific.bulk.plan import plan
from tfhific.errors import OutputError, TfhificError
from tfhific.files.file_kinds import CODED_EXTENSION, IMAGE_EXTENSIONS

pa = pytest.importorskip("pyarrow", reason="needs requirements-bulk.txt")
parquet = pytest.importorskip("pyarrow.parquet")

COUNT = 50
PICTURES = [bytes([row]) * (row + 1) for row in range(COUNT)]
NAMES = [f"shard/{row}.v{row % 3}" for row in range(COUNT)]


def write(path, columns: dict, **options) -> str:
    parquet.write_table(pa.table(columns), path, **options)
    return str(path)


@pytest.fixture
def file(tmp_path):
    nested = [{"bytes": data, "path": f"/home/{row}.jpg"} for row, data in enumerate(PICTURES)]
    numbers = pa.array(range(100, 100 + COUNT), pa.int64())
    return write(
        tmp_path / "x.parquet",
        {"image": nested, "flat": PICTURES, "name": NAMES, "id": numbers, "tags": [[b"a"]] * COUNT},
        row_group_size=20,
    )


def planned(sources, tmp_path):
    out = open_place(str(tmp_path / "out"))
    kinds = {"extensions": IMAGE_EXTENSIONS, "suffix": ".tfh", "ignored": (CODED_EXTENSION,)}
    return plan(sources, out, {}, {}, **kinds)


@pytest.mark.parametrize("image", ["image", "image.bytes", "flat"])
@pytest.mark.parametrize(
    ("name", "first"), [(None, "00000000"), ("name", "shard/0.v0"), ("id", "100")]
)
def test_a_picture_is_read_by_its_name_in_any_order_and_process(file, tmp_path, image, name, first):
    place = open_place(file, columns=Columns(image, name))
    found = planned(place, tmp_path)
    assert not found.problems
    assert len(found.tasks) == COUNT
    assert found.tasks[0].source == first
    assert len({task.destination for task in found.tasks}) == COUNT
    order = {name: row for row, name in enumerate(place.taken((), False, ())[0])}
    for other in (place, pickle.loads(pickle.dumps(place))):
        for path in (*order, *reversed(order), first):
            assert other.read(path) == PICTURES[order[path]]
        assert other.read(first, 0) == b""


def test_rows_are_dealt_out_in_their_order_and_none_is_read_for_it(file, tmp_path, monkeypatch):
    place = open_place(file)
    monkeypatch.setattr(type(place), "read", None)
    tasks = planned(place, tmp_path).tasks
    dealt = list(batches.batches(tasks, place, files=16, pixels=1))
    assert [len(batch) for batch in dealt] == [16, 16, 16, 2]
    assert [task for batch in dealt for task in batch] == list(tasks)


def test_memory_does_not_grow_with_a_row_group(tmp_path):
    peaks = []
    for count in (64, 512):
        path = tmp_path / f"{count}.parquet"
        data = [bytes([row % 256]) * (1 << 16) for row in range(count)]
        write(path, {"image": data}, compression="none", use_dictionary=False)
        assert parquet.ParquetFile(path).metadata.num_row_groups == 1
        pool = pa.system_memory_pool()
        before = pa.default_memory_pool()
        pa.set_memory_pool(pool)
        try:
            place = open_place(str(path))
            start = pool.bytes_allocated()
            most = 0
            for row in range(count):
                assert place.read(f"{row:08d}") == data[row]
                most = max(most, pool.bytes_allocated() - start)
        finally:
            pa.set_memory_pool(before)
        peaks.append(most)
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 512 * (1 << 16) / 4


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (Columns("none"), "`image_column=none`: no such column; it has flat, id, image.bytes"),
        (Columns("id"), "`image_column=id`: expected one BYTE_ARRAY a row, received INT64"),
        (Columns("tags.list.element"), "received lists of BYTE_ARRAY"),
        (Columns("image", "tags.list.element"), "`name_column=tags.list.element`: expected one"),
        (Columns("image", "nowhere"), "`name_column=nowhere`: no such column"),
    ],
)
def test_columns_that_cannot_be_it_are_told(file, columns, said):
    with pytest.raises(TfhificError) as caught:
        open_place(file, columns=columns)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_are_a_parquet_files(tmp_path):
    with pytest.raises(TfhificError, match=r"one that is there and ends in \.parquet"):
        open_place(str(tmp_path), columns=Columns())


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "b", "a"], "row 2: another is called 'a' too"),
        (["a", None, "b"], "row 1: expected a name of at most 1024 characters, received none"),
        (["a", "b", ""], "row 2: expected a name"),
        (["a", "b" * 1025, "c"], "received 1025 characters"),
        (["a", b"\xff\xfe", "c"], "x.parquet: expected a Parquet file"),
    ],
)
def test_names_that_cannot_be_are_told_with_their_row(tmp_path, names, said):
    binary = [name.encode() if isinstance(name, str) else name for name in names]
    kind = pa.binary() if b"\xff\xfe" in binary else pa.string()
    column = pa.array(binary, kind)
    path = write(tmp_path / "x.parquet", {"image": PICTURES[:3], "name": column})
    with pytest.raises(TfhificError) as caught:
        planned(open_place(path, columns=Columns("image", "name")), tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_that_lead_elsewhere_are_told_and_not_followed(tmp_path):
    names = ["../up", "/etc/x", "fine", "a\\b", "c:x", "a\nb"]
    path = write(tmp_path / "x.parquet", {"image": PICTURES[:6], "name": names})
    found = planned(open_place(path, columns=Columns("image", "name")), tmp_path)
    assert [task.source for task in found.tasks] == ["fine"]
    assert len(found.problems) == 5


def test_a_row_without_a_picture_and_one_that_is_not_there_are_lines(tmp_path):
    place = open_place(write(tmp_path / "x.parquet", {"image": [b"a", None, b"c"]}))
    for path, said in (("00000001", "no picture"), ("00000003", "no such row"), ("x", "no such")):
        with pytest.raises(TfhificError, match=said) as caught:
            place.read(path)
        assert f"x.parquet/{path}: can't be read" in str(caught.value)
    assert place.read("00000002") == b"c"


def test_damage_is_a_line_wherever_it_is(file, tmp_path):
    """Every byte that may be changed: a line, a picture that is another, or nothing at all."""
    data = bytearray(pathlib.Path(file).read_bytes())
    path = tmp_path / "y.parquet"
    told = []
    for at in [*range(0, len(data), 41), *range(len(data) - 12, len(data))]:
        changed = data.copy()
        changed[at] ^= 0xFF
        path.write_bytes(changed)
        try:
            place = open_place(str(path), columns=Columns("flat", "name"))
            for name in place.taken((), False, ())[0]:
                place.read(name)
        except TfhificError as error:
            told.append(str(error))
    assert len(told) > 10
    assert all("y.parquet" in line and "\n" not in line for line in told)
    for cut in (0, 4, 11, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(TfhificError, match=r"y\.parquet: expected a Parquet file"):
            open_place(str(path))


def test_a_footer_that_speaks_of_more_rows_than_there_are_bytes_is_not_believed(tmp_path):
    nothing = pa.nulls(1 << 20, pa.binary())
    path = write(tmp_path / "x.parquet", {"image": nothing})
    with pytest.raises(TfhificError, match="its footer speaks of 1048576 rows"):
        open_place(path)


def test_nothing_is_written_into_a_table(file):
    place = open_place(file)
    for call in (
        place.files,
        lambda: place.write("a.tfh", b"", True),
        lambda: place.remove("00000000"),
    ):
        with pytest.raises(OutputError, match="a Parquet file"):
            call()
