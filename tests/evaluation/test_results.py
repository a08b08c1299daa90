"""Rows survive the table, whatever stopped its writing; they say where they are from, not whose."""

from __future__ import annotations

import math

import pytest

from tfhific.errors import TfhificError
from tfhific.evaluation import results


def test_rows_come_back_as_they_were(tmp_path, make_row):
    rows = [
        make_row(image='odd, "name"\n.png', bpp=1 / 3, psnr=math.inf, reached=False),
        make_row(setting="fixed", target="bpp:0.1", lpips=0.25, lpips_weights="alex-1"),
    ]
    results.write_rows(tmp_path / "r.csv", rows)
    found = results.read_rows(tmp_path / "r.csv")
    assert [row.key for row in found] == [row.key for row in rows]
    assert found[0].bpp == 1 / 3
    assert found[0].psnr == math.inf
    assert math.isnan(found[0].lpips)
    assert [row.reached for row in found] == [False, True]
    assert found[1].lpips == 0.25


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_line_that_was_cut_is_left_out_and_can_be_written_again(cut, tmp_path, make_row):
    path = tmp_path / "r.csv"
    results.write_rows(path, [make_row(setting="1")])
    results.append_row(path, make_row(setting="2"))
    path.write_bytes(path.read_bytes()[:-cut])
    found = results.read_rows(path)
    assert [row.setting for row in found] == ["1"]


def test_the_last_of_two_rows_of_one_measurement_counts(tmp_path, make_row):
    path = tmp_path / "r.csv"
    results.write_rows(path, [make_row(psnr=20.0), make_row(setting="2")])
    results.append_row(path, make_row(psnr=40.0))
    found = results.read_rows(path)
    assert [(row.setting, row.psnr) for row in found] == [("1", 40.0), ("2", 30.0)]


def test_an_empty_table_has_no_rows(tmp_path):
    (tmp_path / "r.csv").write_bytes(b"")
    assert results.read_rows(tmp_path / "r.csv") == []


def test_other_tables_and_bad_values_are_told(tmp_path, make_row):
    path = tmp_path / "r.csv"
    path.write_text("image,codec\na,b\n")
    with pytest.raises(TfhificError, match="another table"):
        results.read_rows(path)
    text = results.to_csv([make_row()]).decode()
    path.write_text(text.replace(",30.0,", ",much,"))
    with pytest.raises(TfhificError, match="line 2"):
        results.read_rows(path)
    path.write_text(text.replace(",yes,", ","))
    with pytest.raises(TfhificError, match="line 2"):
        results.read_rows(path)
    with pytest.raises(TfhificError, match="Cannot read"):
        results.read_rows(tmp_path / "missing.csv")


def test_key_holds_what_decides_about_a_measurement(make_row):
    base = make_row()
    for name, value in {
        "image": "b.png",
        "image_digest": "1" * 16,
        "codec": "b",
        "codec_version": "2",
        "setting": "2",
        "target": "bpp:1",
    }.items():
        assert make_row(**{name: value}).key != base.key, name
    assert make_row(psnr=1.0, machine="another").key == base.key
    # The setting that a search finds is its result, not what it is asked.
    assert make_row(target="bpp:1", setting="7").key == make_row(target="bpp:1").key


def test_command_keeps_no_folders():
    command = results.describe_command(
        ["/home/me/bin/evaluate.py", "--data=/data/kodak/", "--codecs=mini,x=/m/a+/m/b", "--jobs=2"]
    )
    assert command == "evaluate.py --data=kodak --codecs=mini,x=a+b --jobs=2"
    command = results.describe_command(["--codecs=/m/a@4,x=me@9@/data/w.npz,y=/m/b@7+/m@home/c"])
    assert command == "--codecs=a@4,x=me@9@w.npz,y=b@7+c"


def test_machine_names_the_processor_and_no_host():
    import platform

    machine = results.describe_machine(2)
    assert "cores" in machine
    assert machine.endswith("2 jobs")
    assert len(platform.node()) < 4 or platform.node() not in machine
    assert "numpy" in results.describe_versions()
