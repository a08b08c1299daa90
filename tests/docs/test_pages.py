"""The documentation's pages: all are reached, links lead somewhere, the names in them exist."""

from __future__ import annotations

import ast
import functools
import pathlib
import re
import runpy

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
if not (ROOT / "mkdocs.yml").exists():
    pytest.skip("the documentation is not here", allow_module_level=True)

SITE = runpy.run_path(str(ROOT / "tools" / "docs_site.py"))
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
FRONT = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "tfc_port/README.md"]
DOCUMENTS = [
    *FRONT,
    "clients/README.md",
    "deploy/native/README.md",
    "deploy/desktop/README.md",
    *PAGES,
]
# Old paths are told there.
SAYING_PATHS = [name for name in DOCUMENTS if name != "CHANGELOG.md"]


@functools.cache
def prose(name: str) -> str:
    """A document without its code blocks."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


@functools.cache
def anchors(name: str) -> frozenset[str]:
    """The anchors of a document's headings, as both mkdocs and the repository's host make them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(name), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\s-]", "", plain).strip().lower().replace(" ", "-"))
    return frozenset(found)


@functools.cache
def sources() -> tuple[pathlib.Path, ...]:
    """Files that may be named from their room, without the path to it."""
    folders = ("tfhific", "tfc_port", "tests", "clients", "deploy", "docs")
    return tuple(path for folder in folders for path in (ROOT / folder).rglob("*.*"))


def links(name: str) -> list[tuple[str, str]]:
    """Target and anchor of each link of a document that leads to no other host."""
    found = re.findall(r"\]\(([^()\s#]*)(?:#([^()\s]*))?(?: \"[^\"]*\")?\)", prose(name))
    return [(target, anchor) for target, anchor in found if not re.match(r"[a-z]+:", target)]


def definitions(path: pathlib.Path) -> dict[str, ast.AST]:
    """What a module defines, by name, without importing it."""
    return _defined(ast.parse(path.read_text(encoding="utf-8")).body)


def _defined(body: list[ast.stmt]) -> dict[str, ast.AST]:
    found: dict[str, ast.AST] = {}
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                found |= {each.id: node for each in ast.walk(target) if isinstance(each, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


def has(path: pathlib.Path, name: str) -> bool:
    """Whether a module defines `NAME`, or a class of it `CLASS.NAME`."""
    names = definitions(path)
    for part in name.split("."):
        if part not in names:
            return False
        node = names[part]
        names = _defined(node.body) if isinstance(node, ast.ClassDef) else {}
    return True


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module's, or defined in one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:count])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.exists():
                rest = ".".join(parts[count:])
                return not rest or has(path, rest)
    return False


def test_every_page_is_in_the_navigation_and_the_other_way_round():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"(\S+\.md)$", text[text.index("\nnav:") :], re.MULTILINE)
    there = [page.removeprefix("docs/") for page in PAGES] + list(SITE["made_pages"]())
    assert sorted(named) == sorted(there)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_to_a_file_and_a_heading(document):
    for target, anchor in links(document):
        path = (ROOT / document).parent / target if target else ROOT / document
        assert path.exists(), f"{document} links to {target}, which is not there"
        if anchor:
            name = str(path.resolve().relative_to(ROOT))
            assert anchor in anchors(name), f"{document} links to #{anchor} of {name}"


@pytest.mark.parametrize("document", SAYING_PATHS)
def test_every_source_file_that_a_document_names_is_there(document):
    ending = r"(?:py|sh|md|yaml|config|csv|proto|c|h|js|go)"
    for said in re.findall(rf"`([\w./*-]+/[\w.*-]+\.{ending})(?:::[\w.]+)?`", prose(document)):
        if said.startswith("bin/*") or re.search(r"[A-Z]{3,}\b(?!\.)", said.split("/")[-1][:-3]):
            continue  # a form of names
        there = list(ROOT.glob(said)) or any(path.match(said) for path in sources())
        assert there, f"{document} names {said}"


def test_every_name_of_the_api_pages_exists():
    pages = {name: (ROOT / name).read_text() for name in PAGES if name.startswith("docs/api/")}
    pages |= {page: SITE["name_page"](page) for page in SITE["NAME_PAGES"]}
    names = {name for text in pages.values() for name in re.findall(r"^::: (\S+)$", text, re.M)}
    assert len(names) > 90
    for name in names:
        assert exists(name), f"an API page names {name}"
    assert not exists("tfhific.codec.Nothing")
    assert not exists("tfhific.nothing.at_all")


def test_the_api_pages_list_all_public_names_of_tfc_port():
    import tfc_port
    import tfc_port.v1

    said = "\n".join(SITE["name_page"](page) for page in SITE["NAME_PAGES"])
    listed = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", said, re.M)}
    public = {*tfc_port.__all__, *tfc_port.v1.__all__}
    packages = {path.parent.name for path in (ROOT / "tfc_port").glob("*/__init__.py")}
    assert public - packages == listed


def where_is_what() -> list[tuple[str, str]]:
    """Questions and answers of the table in docs/design.md."""
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    section = text.split("## Where is what")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", section, re.MULTILINE)
    return [row for row in rows if row[0] not in ("question", "---")]


def test_where_things_are_is_found_in_three_files_at_most():
    rows = where_is_what()
    assert len(rows) >= 4
    for question, answer in rows:
        places = re.findall(r"`((?:tfhific|docs|tests|tfc_port)/[^`]*)`", answer)
        assert places or "](../" in answer, question
        assert len({place.partition("::")[0] for place in places}) <= 3, question
        for place in places:
            path, _, name = place.partition("::")
            assert (ROOT / path).is_file(), place
            assert not name or has(ROOT / path, name), place


def test_a_pages_links_are_made_to_hold_within_the_site():
    pages = {"docs/a.md": "a.md", "docs/x/b.md": "x/b.md", "clients/README.md": "clients.md"}
    text = (
        "[A](../a.md#part) ![p](p.svg) [clients](../../clients/README.md) [own](#here)\n"
        "[what is there](../../deploy) [`bin/test`](../../bin/test) [host](https://example.org/a.md)\n"
        "```\n[A](../gone.md)\n```\n[B](b.md)"
    )
    assert SITE["relinked"](text, "docs/x/b.md", {**pages, "docs/x/p.svg": "x/p.svg"}) == (
        "[A](../a.md#part) ![p](p.svg) [clients](../clients.md) [own](#here)\n"
        "what is there (`deploy`) `bin/test` [host](https://example.org/a.md)\n"
        "```\n[A](../gone.md)\n```\n[B](b.md)"
    )
    moved = SITE["relinked"]("[A](../docs/a.md)", "clients/README.md", pages)
    assert moved == "[A](a.md)"


def test_a_notebooks_page_has_its_text_and_code_in_order():
    text = '{"cells": [{"cell_type": "markdown", "source": ["# A\\n", "b"]},'
    text += '{"cell_type": "code", "source": ["c = 1\\n", "d"], "outputs": ["e"]}]}'
    assert SITE["notebook_page"](text) == "# A\nb\n\n```python\nc = 1\nd\n```\n"
