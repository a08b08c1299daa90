"""A reader of deploy/'s YAML files, with or without PyYAML."""

from __future__ import annotations

import pathlib
import re

import pytest

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"


def read_documents(name: str) -> list:
    """The file's documents: by PyYAML, or else by a reader of the subset in use."""
    text = (DEPLOY / name).read_text()
    try:
        import yaml
    except ImportError:
        return [parse(part) for part in re.split(r"(?m)^---$", text)]
    return list(yaml.safe_load_all(text))


def parse(text: str):
    """Maps, lists and plain or quoted scalars, by indentation; `>-` folds what follows."""
    lines = []
    rest = iter(text.splitlines())
    for line in rest:
        stripped = line.split(" #")[0].rstrip()
        if not stripped or stripped.lstrip().startswith("#"):
            continue
        assert "\t" not in line
        lines.append((len(stripped) - len(stripped.lstrip()), stripped.lstrip()))
    value, left = _block(lines, lines[0][0])
    assert not left, f"not indented as its neighbours: {left[0]}"
    return value


def _block(lines, indent):
    if lines[0][1] == ">-":
        raise AssertionError("a folded scalar must stand behind a key or dash")
    if lines[0][1].startswith("- "):
        items = []
        while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
            inner = [(indent + 2, lines[0][1][2:]), *lines[1:]]
            if inner[0][1] == ">-":
                text, lines = _folded(inner[1:], indent)
                items.append(text)
            elif re.match(r"[\w./-]+:( |$)", inner[0][1]):
                item, lines = _block(inner, indent + 2)
                items.append(item)
            else:
                items.append(_scalar(inner[0][1]))
                lines = inner[1:]
        return items, lines
    found = {}
    while lines and lines[0][0] == indent and not lines[0][1].startswith("- "):
        key, _, value = lines[0][1].partition(":")
        assert re.fullmatch(r"[\w./-]+", key), f"expected a key: {lines[0][1]}"
        assert key not in found, f"twice: {key}"
        lines = lines[1:]
        if value.strip():
            found[key] = _scalar(value.strip())
        else:
            found[key], lines = _block(lines, lines[0][0])
    return found, lines


def _folded(lines, indent):
    words = []
    while lines and lines[0][0] > indent:
        words.append(lines[0][1])
        lines = lines[1:]
    return " ".join(words), lines


def _scalar(text: str):
    if text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text == "{}":
        return {}
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"\d+", text) else text


@pytest.fixture(scope="session")
def documents():
    """The function `read_documents(name)`: the documents of a file of deploy/."""
    return read_documents


@pytest.fixture(scope="session")
def own_reader():
    """The function `parse(text)`: one document by our own reader."""
    return parse
