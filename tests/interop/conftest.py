"""The helper module beside the tests, which import mode `importlib` does not find by itself."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest


@pytest.fixture(scope="session")
def torch_hific():
    """The module `torch_hific`; skips where torch is not installed."""
    pytest.importorskip("torch")
    path = pathlib.Path(__file__).with_name("torch_hific.py")
    spec = importlib.util.spec_from_file_location("torch_hific", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
