"""`bin/demo.py` leaves every file as it is that was there before it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize("there", ["photo.tfh", "photo.comparison.png"])
def test_results_never_replace_a_file(there, call_script, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(192, 208)).save("photo.png")
    (tmp_path / there).write_text("mine")
    done = call_script("demo", "photo.png", "--out=.", "--model=tiny")
    assert done.code == 0, done.err
    assert (tmp_path / there).read_text() == "mine"
    made = {path.name for path in tmp_path.iterdir()} - {"photo.png", there}
    assert made == {"photo-2.tfh", "photo-2.decoded.png", "photo-2.comparison.png"}
    assert "wrote ./photo-2.tfh" in done.out


def test_every_rival_of_the_same_size_has_a_line_and_a_place(
    call_script, photo, tmp_path, monkeypatch
):
    from tfhific.evaluation import classical

    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(192, 208)).save("photo.png")
    done = call_script("demo", "photo.png", "--out=.", "--model=tiny")
    assert done.code == 0, done.err
    rivals = [each for each in ("JPEG", "WebP", "AVIF") if each.upper() in classical.available()]
    assert len(rivals) >= 2
    size = (tmp_path / "photo.tfh").stat().st_size
    for name in rivals:
        (line,) = [line for line in done.out.splitlines() if line.startswith(f"{name} quality")]
        taken = int(line.split()[3].replace(",", ""))
        assert taken <= size or f"({name} can't be as small as" in done.out
    with Image.open("photo.comparison.png") as sheet:
        columns, rows = 3, -(-(2 + len(rivals)) // 3)
        assert sheet.size == (columns * 216 - 8, rows * 224 - 8)


def test_another_decoder_for_the_same_file_is_shown_beside(
    call_script, photo, tiny_published, models_folder, tmp_path, monkeypatch
):
    from tfhific.published.network import Network
    from tfhific.published.store import save_model

    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(192, 208)).save("photo.png")
    synthesis = tiny_published.networks["synthesis"]
    brighter = {name: array * np.float32(1.25) for name, array in synthesis.weights.items()}
    networks = {**tiny_published.networks, "synthesis": Network(synthesis.layers, brighter)}
    save_model(dataclasses.replace(tiny_published, name="other", networks=networks), "other")
    done = call_script("demo", "photo.png", "--out=out", "--model=tiny", "--decoder=other")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()[2:4]] == ["tiny", "other"]
    coded, decoded = tmp_path / "out" / "photo.tfh", tmp_path / "decoded.png"
    done = call_script("decompress", coded, decoded, "--decoder=other")
    assert done.code == 0, done.err
    with Image.open(decoded) as one, Image.open(tmp_path / "out" / "photo.another.png") as two:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))

    stranger = models_folder.parent / f"{models_folder.name}-elsewhere" / "stranger"
    done = call_script("demo", "photo.png", "--out=new", "--model=tiny", f"--decoder={stranger}")
    assert done.code == 1
    assert "stranger is no decoder for files of tiny" in done.err
    assert not any((tmp_path / "new").iterdir())
