"""The example notebooks run from their first cell to their last."""

from __future__ import annotations

import json
import pathlib
import sys
import types

import pytest
from PIL import Image

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NAMES = ("compress", "evaluate", "serve", "train")
if not NOTEBOOKS.exists():
    pytest.skip("docs/notebooks is not here", allow_module_level=True)


def cells_of(name: str) -> list[dict]:
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


@pytest.fixture
def run_notebook(tmp_path, monkeypatch, photo, capsys):
    """A function that runs a notebook by its name, and gives what it printed and showed."""
    Image.fromarray(photo(176, 208)).save(tmp_path / "a.png")
    monkeypatch.setenv("PICTURES", str(tmp_path))
    # What Jupyter shows pictures with; the rest of it is not needed to run the cells.
    display = types.ModuleType("IPython.display")
    shown = []
    display.Image = lambda data, **options: shown.append(data)
    package = types.ModuleType("IPython")
    package.version_info = (9, 0)  # matplotlib asks
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)

    def run(name: str) -> tuple[str, list[bytes]]:
        names: dict = {"__name__": "__main__"}
        for number, cell in enumerate(cells_of(name)):
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
        return capsys.readouterr().out, shown

    return run


def test_every_cell_of_the_comparison_runs(run_notebook):
    said, shown = run_notebook("evaluate")
    assert "10 files measured, 0 failures" in said
    assert "mini   psnr" in said
    assert "half-jpeg" in said
    assert "report.html" in said
    assert shown[0].startswith(b"\x89PNG")


def test_every_cell_of_the_compression_runs(run_notebook):
    said, shown = run_notebook("compress")
    assert "quality 8" in said
    assert "bpp expected" in said
    assert "refused: " in said
    assert shown[0].startswith(b"\x89PNG")


@pytest.mark.slow
def test_every_cell_of_the_training_runs(run_notebook):
    said, _ = run_notebook("train")
    assert "step 40" in said
    assert "mine, quality 8" in said


@pytest.mark.slow
def test_every_cell_of_the_serving_runs(run_notebook):
    said, _ = run_notebook("serve")
    assert "decompress_raw" in said
    assert "0 bytes expected a" in said
    assert "largest difference: " in said
    assert int(said.split("largest difference: ")[1].split()[0]) <= 1


def test_there_are_no_others():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_kept_without_outputs_and_says_how_it_finds_the_project(name):
    cells = cells_of(name)
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    said = "".join(cells[0]["source"])
    assert f"PYTHONPATH=$PWD .venv/bin/jupyter lab docs/notebooks/{name}.ipynb" in said
