"""The errors that a caller is expected to catch."""

from __future__ import annotations

import ast
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

# What raises a `ValueError` of its own, and catches it: it reaches no caller.
CAUGHT_NEXT_DOOR = {
    "pictures/exif.py",
    "pictures/pieces.py",
    "published/tensor_file.py",
    "evaluation/features.py",
    "evaluation/results.py",
}


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


def _raised(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield node


def test_no_bare_value_error_reaches_a_caller():
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in _raised(ast.parse(path.read_text(encoding="utf-8")))
        if getattr(node.exc.func, "id", None) == "ValueError"
    }
    assert found <= CAUGHT_NEXT_DOOR


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


COMMAND_LINES_OWN = {"jobs.py"}
"""Plans of the commands' folders: nobody else is told what they say."""


def test_package_names_options_as_python_callers_know_them():
    flag = re.compile(r"(^|[^-\w!<])--[a-z]")
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        if room == "commands" or path.name in COMMAND_LINES_OWN:
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
