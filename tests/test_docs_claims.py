"""What the documentation says and its own parts can answer for."""

from __future__ import annotations

import json
import pathlib
import re

import pytest

import tfhific
from tfhific import systems

ROOT = pathlib.Path(__file__).resolve().parents[1]


def text(name: str) -> str:
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path.read_text(encoding="utf-8")


def test_selective_example_trains_the_classes_that_it_keeps():
    section = text("docs/extreme.md").split("## Selective compression (SC)")[1].split("\n## ")[0]
    given = re.search(r"--settings='(.*)'$", section, re.M)[1]
    config = systems.configuration("sc", json.loads(given))
    kept = {name for names in re.findall(r"--keep=(\S+)", section) for name in names.split(",")}
    assert kept
    assert kept <= set(config.class_names)


def test_every_error_that_the_readme_names_is_one():
    named = re.findall(r"`tfhific\.(\w+Error)`", text("README.md"))
    assert set(named) >= {"ArgumentError", "BitstreamError", "ImageError", "TfhificError"}
    assert all(issubclass(getattr(tfhific, name), tfhific.TfhificError) for name in named)


def test_extras_are_installed_from_the_folder_and_exist():
    extras = {
        extra
        for name in ("README.md", "docs/evaluation.md")
        for extra in re.findall(r"pip install '?[^\s`]*\[(\w+)\]", text(name))
    }
    assert extras == {"evaluation", "tensorflow"}
    assert "pip install tfhific" not in text("README.md") + text("docs/evaluation.md")
    for extra in extras:
        assert re.search(rf"^{extra} = ", text("pyproject.toml"), re.M)


def test_notebook_says_how_it_finds_the_project():
    cells = json.loads(text("docs/notebooks/evaluate.ipynb"))["cells"]
    said = "".join(cells[0]["source"])
    assert "PYTHONPATH=$PWD" in said
    assert "install jupyterlab" in said
