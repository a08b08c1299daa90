"""The example notebook runs from its first cell to its last."""

from __future__ import annotations

import json
import pathlib
import sys
import types

import pytest
from PIL import Image

NOTEBOOK = pathlib.Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "evaluate.ipynb"


def test_every_cell_runs(tmp_path, monkeypatch, photo, capsys):
    if not NOTEBOOK.exists():
        pytest.skip("docs/notebooks is not here")
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
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    said = capsys.readouterr().out
    assert "10 files measured, 0 failures" in said
    assert "mini   psnr" in said
    assert "half-jpeg" in said
    assert "report.html" in said
    assert shown[0].startswith(b"\x89PNG")


def test_it_is_kept_without_outputs():
    if not NOTEBOOK.exists():
        pytest.skip("docs/notebooks is not here")
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
