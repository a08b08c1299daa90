"""What `mkdocs build` does for this repository's site beyond mkdocs: a hook, named in mkdocs.yml.

Files that the repository keeps elsewhere become pages, and so do the notebooks and the lists of
`tfc_port`'s names: those are imported lazily, so that reading its packages' faces shows none of
them. Links that lead out of `docs/` lead to those pages, or say the path where there is none.
Nothing of the project is imported.
"""

from __future__ import annotations

import json
import pathlib
import posixpath
import re
import runpy
from collections.abc import Mapping

ROOT = pathlib.Path(__file__).resolve().parents[1]

ELSEWHERE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
    "clients/README.md": "clients.md",
    "tfhific/zoo/mini-v1/MODEL_CARD.md": "models/mini-v1.md",
    "tfhific/zoo/mini-v3/MODEL_CARD.md": "models/mini-v3.md",
    "tfhific/zoo/mini-v3-realistic/MODEL_CARD.md": "models/mini-v3-realistic.md",
    "tfhific/zoo/mini-v2/MODEL_CARD.md": "models/mini-v2.md",
    "tfhific/zoo/mini-v2-realistic/MODEL_CARD.md": "models/mini-v2-realistic.md",
}
"""Pages of the site by the files, outside of `docs/`, that they are made of."""

NAME_PAGES = {
    "api/tfc_port/layers.md": ("tfc_port.layers", ("LAYERS",)),
    "api/tfc_port/distributions.md": ("tfc_port.distributions", ("DISTRIBUTIONS",)),
    "api/tfc_port/entropy_models.md": ("tfc_port.entropy_models", ("ENTROPY_MODELS",)),
    "api/tfc_port/ops.md": ("tfc_port.ops", ("OPS",)),
    "api/tfc_port/others.md": ("tfc_port", ("DATASETS", "OTHERS")),
    "api/tfc_port/v1.md": ("tfc_port.v1", ("V1",)),
}
"""The package and the tables of `tfc_port/_names.py` that each of these pages lists."""

_INTRODUCTION = {
    "tfc_port": "Names of `tfc_port` beside its layers, distributions, entropy models and ops.",
    "tfc_port.v1": (
        "What `tfc_port.v1` has of its own. The names that TFC 1.3 shares with 2.14 are those of "
        "`tfc_port`."
    ),
}
# A target's path and its anchor; images and footnotes' targets are links too.
_LINK = re.compile(r"(!?)\[([^\]\[]*)\]\(([^()\s#]*)(#[^()\s]*)?\)")


def name_page(page: str) -> str:
    """The Markdown of one of `NAME_PAGES`: a directive for each name, by the alphabet."""
    package, tables = NAME_PAGES[page]
    names = runpy.run_path(str(ROOT / "tfc_port" / "_names.py"))
    homes = {name: home for table in tables for name, home in names[table].items()}
    said = _INTRODUCTION.get(
        package, f"Names of `{package}`, which `tfc_port` has too. They are imported on first use."
    )
    title = package if package != "tfc_port" else "tfc_port: datasets and others"
    lines = [f"# {title}", "", said, ""]
    for name in sorted(homes, key=str.lower):
        lines += [f"::: {homes[name]}.{name}", ""]
    return "\n".join(lines)


def notebook_page(text: str) -> str:
    """The Markdown of a notebook's cells; outputs, which none is kept with, are left out."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"]).strip()
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    return "\n\n".join(parts) + "\n"


def relinked(markdown: str, source: str, pages: Mapping[str, str]) -> str:
    """A page's text with links that hold within the site.

    Args:
      markdown: the text as the repository has it, code blocks included, which stay as they are.
      source: its path below the repository's root; links in it are relative to that.
      pages: for a path below the root the path below the site, of each file that the site has.

    Returns:
      The text. A link to a file that the site doesn't have is its text and the path.
    """
    here = posixpath.dirname(source)
    own = posixpath.dirname(pages[source])

    def changed(found: re.Match) -> str:
        mark, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(here, target))
        if path in pages:
            return f"{mark}[{text}]({posixpath.relpath(pages[path], own or '.')}{anchor})"
        return f"`{path}`" if text.strip("`") in (path, target) else f"{text} (`{path}`)"

    # Every other part is within a fence.
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(p if number % 2 else _LINK.sub(changed, p) for number, p in enumerate(parts))


def made_pages() -> dict[str, str]:
    """The text of every page that is no file below `docs/`, by its path below the site."""
    made = {page: (ROOT / path).read_text(encoding="utf-8") for path, page in ELSEWHERE.items()}
    made |= {page: name_page(page) for page in NAME_PAGES}
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        made[f"notebooks/{path.stem}.md"] = notebook_page(path.read_text(encoding="utf-8"))
    return made


def on_files(files, config):
    """Adds the pages that are made; mkdocs calls this."""
    from mkdocs.structure.files import File

    for page, text in made_pages().items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Changes a page's links; mkdocs calls this."""
    pages = {f"docs/{file.src_uri}": file.src_uri for file in files}
    # Links to a notebook lead to its page, which has a link to the file.
    pages |= {
        path: path.removeprefix("docs/").replace(".ipynb", ".md")
        for path in pages
        if path.endswith(".ipynb")
    }
    pages |= ELSEWHERE
    own = {page: path for path, page in ELSEWHERE.items()}
    return relinked(markdown, own.get(page.file.src_uri, f"docs/{page.file.src_uri}"), pages)
