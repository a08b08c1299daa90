"""The errors that a caller is expected to catch."""

from __future__ import annotations

import ast
import builtins
import pathlib
import pickle
import re

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import tfhific
from tfhific.commands.wording import as_flags
from tfhific.errors import ArgumentError, TfhificError

PACKAGE = pathlib.Path(tfhific.__file__).parent

BARE = {
    # Caught where they are raised, or by the next caller, who says what it means to a user.
    ("pictures/exif.py", "ValueError"): "caught in the module: a block that can't be edited",
    ("published/tensor_file.py", "ValueError"): "caught where the model's file is opened",
    ("published/tensor_file.py", "OSError"): "caught where the model's file is read",
    ("evaluation/features.py", "ValueError"): "caught in the module: the network can't be used",
    ("evaluation/results.py", "ValueError"): "caught in the module: a line that can't be read",
    ("bulk/archives.py", "OSError"): "caught in the method: the message that reading ends in",
    ("bulk/tables.py", "OSError"): "caught in the class: the message that reading ends in",
    ("bulk/s3_pages.py", "OSError"): "caught where a store is listed, as if s3fs had raised it",
    ("bulk/remote.py", "FileNotFoundError"): "caught in the method, as if fsspec had raised it",
    ("bulk/remote.py", "FileExistsError"): "caught in the method, as if fsspec had raised it",
    # What Python's own protocols ask for.
    ("pictures/pieces.py", "ValueError"): "as `io.IOBase.seek` has it, for Pillow",
    ("evaluation/__init__.py", "AttributeError"): "as `__getattr__` of a module has it",
}
"""Exceptions of Python's own that tfhific raises, by file, and why they are no error of ours."""


def test_quality_out_of_range_is_both_a_tfhific_error_and_a_value_error(tiny_codec, photo):
    for kind in (TfhificError, ValueError, tfhific.ArgumentError):
        with pytest.raises(kind, match="from 1 to 8"):
            tiny_codec.compress(photo(32, 32), quality=9)


def test_argument_errors_survive_pickling_and_tracing():
    error = pickle.loads(pickle.dumps(ArgumentError("Expected one.")))
    assert (type(error), str(error)) == (ArgumentError, "Expected one.")

    @tf.function
    def traced(x):
        if x.shape[0] == 3:
            raise ArgumentError("Expected another length.")
        return x

    with pytest.raises(ArgumentError, match="another length"):
        traced(tf.constant(np.zeros(3)))


def _bare(source: str) -> set[str]:
    """Names of Python's own exceptions that a module raises.

    `NotImplementedError` is left out where it is all that a method does: that one is abstract.
    """
    tree = ast.parse(source)
    abstract = {
        id(statement)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for statement in [s for s in node.body if not isinstance(s, ast.Expr)][:1]
    }
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        name = getattr(node.exc.func if isinstance(node.exc, ast.Call) else node.exc, "id", "")
        kind = getattr(builtins, name, None)
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            continue
        if kind is not NotImplementedError or id(node) not in abstract:
            found.add(name)
    return found


def test_only_errors_of_tfhific_reach_a_caller():
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in _bare(path.read_text(encoding="utf-8"))
    }
    assert found == set(BARE)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise ValueError('wrong')", {"ValueError"}),
        ("def f(x):\n    if x:\n        raise TypeError", {"TypeError"}),
        (
            "class A:\n    def f(self):\n        'Abstract.'\n        raise NotImplementedError",
            set(),
        ),
        ("def f(x):\n    if x:\n        raise NotImplementedError", {"NotImplementedError"}),
        ("try:\n    pass\nexcept OSError as error:\n    raise", set()),
        ("raise ModelError('wrong') from None", set()),
    ],
)
def test_check_of_raised_errors_tells_ours_from_pythons(source, found):
    assert _bare(source) == found


def _texts(tree: ast.AST):
    """String constants that are no docstrings."""
    explained = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(getattr(node, "body", None), list) and node.body
        if isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if text and id(node) not in explained:
            yield node


def test_package_names_options_as_python_callers_know_them():
    flag = re.compile(r"(^|[^-\w!<])--[a-z]")
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        if room == "commands":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # Attributes' docstrings stand below them, as statements of their own.
        alone = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        found += [
            f"{path.name}:{node.lineno}"
            for node in _texts(tree)
            if id(node) not in alone and flag.search(node.value)
        ]
    assert found == []


def test_command_line_names_its_own_flags(monkeypatch):
    own = flags.FlagValues()
    flags.DEFINE_integer("crop", 1, "", flag_values=own)
    flags.DEFINE_string("keep", "", "", flag_values=own)
    monkeypatch.setattr(flags, "FLAGS", own)
    said = "`crop`: expected 64. Take `crop=64`, `settings`='{}' or (`kept`) of `other`."
    wanted = "--crop: expected 64. Take --crop=64, `settings`='{}' or (--keep) of `other`."
    assert as_flags(said) == wanted
