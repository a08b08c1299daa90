"""What `tfc_port` declares: types of parameters and results, and the names of its packages."""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
import pkgutil
import typing

import pytest

import tfc_port
from tfc_port import _names

ROOT = pathlib.Path(tfc_port.__file__).parent
FACES = sorted(
    ["tfc_port"]
    + [f"tfc_port.{module.name}" for module in pkgutil.iter_modules([str(ROOT)]) if module.ispkg]
)
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def bare_parts(function: ast.FunctionDef, is_method: bool) -> list[str]:
    arguments = function.args
    ordered = [*arguments.posonlyargs, *arguments.args]
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    if is_method and "staticmethod" not in decorators:
        ordered = ordered[1:]
    others = [*arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    named = [argument for argument in (*ordered, *others) if argument is not None]
    bare = [argument.arg for argument in named if argument.annotation is None]
    return bare if function.returns is not None else [*bare, "return"]


def find_bare(tree: ast.AST, is_class: bool = False) -> list[str]:
    """Parameters and results without a type, of functions within functions too."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found += [f"{node.name}: {part}" for part in bare_parts(node, is_class)]
        within = is_class and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        found += find_bare(node, isinstance(node, ast.ClassDef) or within)
    return found


def test_bare_parameters_and_results_are_found():
    source = """
class A:
    def method(self, bare, typed: int, *rest): ...
    @staticmethod
    def free(bare) -> None:
        def inner(*, other) -> None: ...
"""
    assert find_bare(ast.parse(source)) == [
        "method: bare",
        "method: rest",
        "method: return",
        "free: bare",
        "inner: other",
    ]


@pytest.mark.parametrize("module", MODULES)
def test_every_parameter_and_result_has_a_type(module):
    assert find_bare(ast.parse((ROOT / module).read_text())) == []


def imported_for_checkers(path: pathlib.Path) -> dict[str, str]:
    """The names that a package's face imports for type checkers, and from which module."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            imports = [part for part in node.body if isinstance(part, ast.ImportFrom)]
            return {name.name: part.module for part in imports for name in part.names}
    return {}


@pytest.mark.parametrize("face", FACES)
def test_every_package_lists_its_names_and_has_them(face):
    module = importlib.import_module(face)
    assert sorted(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("face", [face for face in FACES if face != "tfc_port.coding"])
def test_type_checkers_see_the_objects_that_programs_get(face):
    module = importlib.import_module(face)
    seen = imported_for_checkers(pathlib.Path(module.__file__))
    assert set(seen) == set(module.__all__)
    for name, home in seen.items():
        assert getattr(importlib.import_module(home), name) is getattr(module, name)


def test_the_packages_are_marked_as_typed():
    for package in ("tfc_port", "tfhific"):
        path = importlib.import_module(package).__file__
        assert (pathlib.Path(path).parent / "py.typed").is_file()


@pytest.mark.parametrize("name", sorted(_names.ALL))
def test_public_signatures_resolve_while_a_program_runs(name):
    function = public = getattr(tfc_port, name)
    if inspect.isclass(public):  # an abstract one has no arguments of its own
        ours = public.__init__.__module__.startswith("tfc_port")
        function = public.__init__ if ours else public.__call__
    try:
        hints = typing.get_type_hints(function)
    except TypeError as error:  # Python 3.9 has no `X | None`
        pytest.skip(str(error))
    assert set(hints) >= set(inspect.signature(function).parameters) - {"self"}


@pytest.mark.parametrize("name", sorted({**_names.ALL, **_names.V1}))
def test_every_public_object_says_what_it_is(name):
    for package in (tfc_port, tfc_port.v1):
        public = getattr(package, name, None)
        assert public is None or (public.__doc__ or "").strip()


def public_members(cls: type) -> list[tuple[str, object]]:
    ours = [base for base in cls.__mro__ if base.__module__.startswith("tfc_port")]
    return [
        (f"{base.__name__}.{name}", member)
        for base in ours
        for name, member in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    ]


@pytest.mark.parametrize("package", ["tfc_port", "tfc_port.v1"])
def test_every_public_method_says_what_it_does(package):
    module = importlib.import_module(package)
    classes = [getattr(module, name) for name in module.__all__]
    bare = {
        name
        for cls in classes
        if inspect.isclass(cls)
        for name, member in public_members(cls)
        if not (member.__doc__ or "").strip()
    }
    assert bare == set()
