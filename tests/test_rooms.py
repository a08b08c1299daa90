"""Which module may import which: rooms import downwards, nothing imports in a circle."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator, Mapping

import pytest

import tfhific

ROOT = pathlib.Path(tfhific.__file__).parents[1]

FLOORS = (
    {"__main__"},
    {"commands"},
    {"training", "evaluation", "interop", "serving", "bulk"},
    {"publishing"},
    {"models"},
    {"losses", "data", "pillow"},
    {"tfhific"},
    {"codec"},
    {"runtimes"},
    {"zoo"},
    {"published"},
    {"pictures", "bitstream"},
    {"files"},
    {"backend", "systems", "interface"},
    {"errors", "version"},
)
"""Rooms, the uppermost first: a module imports its own room's and those of lower floors. `tfhific`
is the package's face, `tfhific/__init__.py`."""

TYPES_OF_ANY_FLOOR = {"tfhific.systems", "tfc_port"}
"""Makes what upper floors define, by names in strings: it may import it where only a type checker
does."""

WITHOUT_KERAS = {"codec", "runtimes", "published", "pictures", "bitstream", "files", "pillow"}
KERAS = {"tfhific.backend", "tfhific.models", "tfhific.training", "keras", "tf_keras"}

# Imports that point upwards until what they ask for has moved.
KNOWN = {
    # The perceptual distance that a search may be asked to lower, on demand.
    ("tfhific.codec.distortions", "tfhific.losses.lpips"),
    # The table of systems opens what it names: the store of published models, on demand.
    ("tfhific.systems", "tfhific.published.store"),
}


def read_package(name: str) -> dict[str, str]:
    """Sources of a package's modules by their full names."""
    found = {}
    for path in (ROOT / name).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[module] = path.read_text(encoding="utf-8")
    return found


def imported(module: str, source: str, modules: Mapping[str, str]) -> Iterator[str]:
    """What a module imports anywhere, in functions and for type checkers too: full names.

    Of a name out of a package, the module of that name where there is one.
    """
    tree = ast.parse(source)
    if module in TYPES_OF_ANY_FLOOR:
        tree.body = [node for node in tree.body if not _for_checkers(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}:{node.lineno} imports by a relative name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module


def _for_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def graph_of(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """The modules that each imports, others than itself; outside ones too."""
    return {
        module: set(imported(module, source, modules)) - {module}
        for module, source in modules.items()
    }


def room_of(module: str) -> str:
    """The part of the package that a module of tfhific lies in."""
    return module.split(".")[1] if "." in module else module


def upward(graph: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """Imports of tfhific's modules that don't point to the own room or to a lower floor."""
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    found = []
    for module, targets in graph.items():
        for target in targets:
            if target.partition(".")[0] != "tfhific":
                continue
            ours, theirs = room_of(module), room_of(target)
            if ours != theirs and floor[theirs] <= floor[ours]:
                found.append((module, target))
    return sorted(found)


def with_keras(graph: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """Imports of Keras, models or training where nothing of them may be."""
    return sorted(
        (module, target)
        for module, targets in graph.items()
        for target in targets
        if room_of(module) in WITHOUT_KERAS
        if any(target == name or target.startswith(name + ".") for name in KERAS)
    )


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Sets of modules that import each other in a circle, by repeatedly taking away what doesn't
    import anything that is left, and what nothing that is left imports."""
    left = {module: {t for t in targets if t in graph} for module, targets in graph.items()}
    while True:
        wanted = set().union(*left.values()) if left else set()
        kept = {m: {t for t in ts if t in left} for m, ts in left.items() if ts and m in wanted}
        if kept == left:
            return [sorted(left)] if left else []
        left = kept


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return graph_of(read_package("tfhific"))


def test_rooms_import_downwards_only(graph):
    assert [pair for pair in upward(graph) if pair not in KNOWN] == []


def test_known_exceptions_are_still_needed(graph):
    """What has been mended leaves the list, which so can only get shorter."""
    assert {*upward(graph), *with_keras(graph)} >= KNOWN


def test_coding_and_what_is_below_it_do_without_keras(graph):
    assert [pair for pair in with_keras(graph) if pair not in KNOWN] == []


@pytest.mark.parametrize("package", ["tfhific", "tfc_port"])
def test_no_module_imports_itself_in_a_circle(package):
    assert circles(graph_of(read_package(package))) == []


def test_port_of_tfc_knows_nothing_of_tfhific():
    graph = graph_of(read_package("tfc_port"))
    named = {target for targets in graph.values() for target in targets}
    assert not any(name.partition(".")[0] == "tfhific" for name in named)
    assert "tfc_port.coding" in graph


def test_every_room_has_a_floor():
    rooms = {room_of(module) for module in read_package("tfhific")}
    assert rooms == set().union(*FLOORS)


MADE_UP = {
    "tfhific": "def load():\n    from tfhific.codec import base\n",
    "tfhific.codec": "",
    "tfhific.codec.base": "from tfhific.published import network\n",
    "tfhific.published": "",
    "tfhific.published.network": "import numpy\n",
    "tfhific.models": "",
    "tfhific.models.mini": "from tfhific.backend import keras\nimport tfhific.codec.base\n",
    "tfhific.backend": "",
}


def test_check_accepts_a_house_in_order():
    graph = graph_of(MADE_UP)
    assert (upward(graph), with_keras(graph), circles(graph)) == ([], [], [])
    assert graph["tfhific.codec.base"] == {"tfhific.published.network"}


@pytest.mark.parametrize(
    "source",
    [
        "from tfhific.models.mini import Mini\n",
        "from tfhific.models import mini\n",
        "import tfhific.models.mini\n",
        "def later():\n    from tfhific.models.mini import Mini\n",
        "import typing\nif typing.TYPE_CHECKING:\n    from tfhific.models import mini\n",
    ],
)
def test_check_finds_an_upward_import_wherever_it_stands(source):
    graph = graph_of({**MADE_UP, "tfhific.published.network": source})
    found = [("tfhific.published.network", "tfhific.models.mini")]
    assert upward(graph) == with_keras(graph) == found
    # `mini` imports the codec, which imports the network.
    assert circles(graph) == [["tfhific.codec.base", "tfhific.models.mini", found[0][0]]]


def test_only_the_table_of_systems_may_name_types_of_upper_floors():
    source = "if TYPE_CHECKING:\n    from tfhific.models import mini\n"
    assert upward(graph_of({**MADE_UP, "tfhific.systems": source})) == []
    late = "def create():\n    from tfhific.models import mini\n"
    assert upward(graph_of({**MADE_UP, "tfhific.systems": late})) == [
        ("tfhific.systems", "tfhific.models.mini")
    ]


def test_check_finds_keras_below_the_codec_and_neighbours_that_import_each_other():
    keras = {**MADE_UP, "tfhific.codec.base": "from tfhific.backend import keras\n"}
    assert with_keras(graph_of(keras)) == [("tfhific.codec.base", "tfhific.backend")]
    beside = {
        "tfhific.training.run": "from tfhific.serving import export\n",
        "tfhific.serving.export": "",
    }
    graph = graph_of({**beside, "tfhific.serving": ""})
    assert upward(graph) == [("tfhific.training.run", "tfhific.serving.export")]
