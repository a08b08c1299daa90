"""The tiny model exported once, and loaded as any program loads a SavedModel."""

from __future__ import annotations

import importlib
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def export_folder(tiny_published, tmp_path_factory) -> pathlib.Path:
    """The folder of the versions of the exported tiny model; version 1 is there."""
    from tfhific.serving.export import export

    folder = tmp_path_factory.mktemp("served") / "tiny"
    export(tiny_published, str(folder), max_pixels=1_000_000, max_request_pixels=1_000_000)
    return folder


@pytest.fixture(scope="session")
def loaded(export_folder):
    """The SavedModel, loaded."""
    import tensorflow as tf

    return tf.saved_model.load(str(export_folder / "1"))


@pytest.fixture(scope="session")
def call(loaded):
    """A function that calls a signature: `call("info", compressed_bytes=[...])`, arrays by name."""
    import tensorflow as tf

    def run(signature: str, **inputs) -> dict:
        function = loaded.signatures[signature]
        specs = function.structured_input_signature[1]
        tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in function(**tensors).items()}

    return run


@pytest.fixture(scope="session")
def double(loaded):
    """The test double of the server, with the tiny model under the name `tiny`."""
    from tests.serving import serving_double

    with serving_double.serve(loaded, "tiny") as served:
        yield served


@pytest.fixture(scope="session")
def client():
    """The Python client's programs, as a module."""
    folder = str(ROOT / "clients" / "python")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("tfh_program")
    finally:
        sys.path.remove(folder)
