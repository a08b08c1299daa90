"""The manifest's files: what was written comes back, whatever ended the job before."""

from __future__ import annotations

import pathlib

import pytest

from tfhific.bulk.manifest import NAME, Manifest, from_parquet, to_parquet
from tfhific.bulk.opening import open_place
from tfhific.bulk.rows import DONE, FAILED, Row
from tfhific.errors import OutputError, TfhificError

pytest.importorskip("pyarrow", reason="needs requirements-bulk.txt")


def row(number: int, **more) -> Row:
    return Row(
        f"{number}.png", f"{number}.tfh", DONE, 10, 5, 4, 3, 20, 13.3, 5.0, 0.25, "ab"
    )._replace(**more)


def manifest_of(folder: pathlib.Path) -> Manifest:
    place = open_place(str(folder))
    return Manifest(place, place.files())


def test_rows_come_back_from_parquet():
    rows = [row(1), Row("é\n.png", "x", FAILED, error="cut"), row(2, bytes=1 << 40)]
    assert from_parquet(to_parquet(rows), "m") == rows


def test_a_finished_manifest_is_one_file_in_order_with_the_latest_of_each(tmp_path):
    first = manifest_of(tmp_path)
    for number in (3, 1, 2):
        first.add(row(number))
    first.finish()
    second = manifest_of(tmp_path)
    second.add(row(1, bytes=99))
    second.finish()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [NAME]
    found = from_parquet((tmp_path / NAME).read_bytes(), "m")
    assert found == [row(1, bytes=99), row(2), row(3)]


def test_parts_of_a_job_that_was_killed_count(tmp_path):
    first = manifest_of(tmp_path)
    first.add(row(1))
    first.flush()
    first.add(row(1, bytes=99))
    first.flush()
    first.add(row(2))  # never written
    assert manifest_of(tmp_path).rows == {"1.png": row(1, bytes=99)}


def test_two_jobs_at_once_are_told(tmp_path):
    first, second = manifest_of(tmp_path), manifest_of(tmp_path)
    first.add(row(1))
    first.flush()
    second.add(row(2))
    with pytest.raises(OutputError, match="Does another job write to"):
        second.flush()


def hostile() -> dict[str, bytes]:
    import io

    import pyarrow
    import pyarrow.parquet

    good = to_parquet([row(1)])

    def table(columns: dict, mark: bool = True) -> bytes:
        held = io.BytesIO()
        made = pyarrow.table(columns)
        if mark:
            made = made.replace_schema_metadata({b"tfhific.bulk": b"1"})
        pyarrow.parquet.write_table(made, held)
        return held.getvalue()

    return {
        "empty": b"",
        "text": b"source,destination\n",
        "cut": good[:-9],
        "changed": good[:60] + bytes(40) + good[100:],
        "another table": table({"source": ["a"]}, mark=False),
        "no columns": table({"colour": [1]}),
        "numbers": table({"source": [1], "destination": ["a"], "status": ["done"]}),
        "lists": table({"source": [["a"]], "destination": ["a"], "status": ["done"]}),
    }


@pytest.mark.parametrize("what", ["a folder", "a file"])
def test_what_is_in_the_manifests_way_is_told_before_the_job(tmp_path, what):
    if what == "a folder":
        (tmp_path / NAME).mkdir()
    else:
        (tmp_path / f"{NAME}.parts").write_text("mine")
    with pytest.raises(OutputError, match=f"is {what}, and the manifest is to be there; move it"):
        manifest_of(tmp_path)


@pytest.mark.parametrize("kind", list(hostile()))
def test_what_is_no_manifest_is_a_line_and_stays(tmp_path, kind):
    data = hostile()[kind]
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(
        TfhificError, match=r"manifest\.parquet.*Move it away|move it away"
    ) as caught:
        manifest_of(tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / NAME).read_bytes() == data
