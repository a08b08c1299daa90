"""The errors that a caller is expected to catch."""

from __future__ import annotations

import ast
import pathlib
import pickle

import numpy as np
import pytest
import tensorflow as tf

import tfhific
from tfhific.errors import ArgumentError, TfhificError

PACKAGE = pathlib.Path(tfhific.__file__).parent

# What raises a `ValueError` of its own, and catches it: it reaches no caller.
CAUGHT_NEXT_DOOR = {
    "codec/picture_exif.py",
    "codec/tensor_file.py",
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
