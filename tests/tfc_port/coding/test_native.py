from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tfc_port import coding

ROUND_TRIP = """
import numpy as np
from tfc_port import coding
tables = coding.Tables(np.array([2, 0, 1, 4]), np.array([0]))
values, rows = np.array([0, 1, 1, 0]), np.zeros(4, int)
data = coding.encode(values, rows, tables, streams=2, implementation="native")
back = coding.decode(data, rows, tables, streams=2, implementation="native")
assert back.tolist() == [0, 1, 1, 0]
"""
TFC = """
import tensorflow_compression as tfc
assert callable(tfc.SignalConv2D)
"""
OPS = """
import tensorflow_compression_ops as ops
assert callable(ops.create_range_encoder)
"""


@pytest.mark.parametrize("first", ["coder", "package"])
@pytest.mark.parametrize(
    ("package", "code"), [("tensorflow_compression", TFC), ("tensorflow_compression_ops", OPS)]
)
def test_the_kernels_and_their_package_load_in_either_order(package, code, first):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    code = ROUND_TRIP + code if first == "coder" else code + ROUND_TRIP
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_kernels_load_without_their_package(usable):
    usable("native")
    packages = "{'tensorflow_compression', 'tensorflow_compression_ops'}"
    code = ROUND_TRIP + f"import sys; sys.exit(bool({packages} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_stream_is_the_string_of_the_kernels(usable, gaussians, draw_values):
    """Called as a program written for TFC calls them."""
    usable("native")
    from tfc_port.coding import native, payload

    values, indexes = draw_values(np.random.default_rng(3), gaussians, 2000)
    kernels = native.kernels()
    handle = kernels.create_range_encoder([], gaussians.lookup)
    handle = kernels.entropy_encode_index(handle, indexes, values - gaussians.minimum[indexes])
    string = kernels.entropy_encode_finalize(handle).numpy()
    data = coding.encode(values, indexes, gaussians, streams=1, implementation="python")
    assert payload.split(data, 1) == ([string], b"")


def test_without_kernels_the_error_says_what_to_use_instead(monkeypatch):
    pytest.importorskip("tensorflow")
    from tfc_port.coding import native

    monkeypatch.setattr(native, "_PACKAGES", {"no_such_package": ("no.so", "no_such_package")})
    native.kernels.cache_clear()
    try:
        with pytest.raises(coding.CodingError, match='"graph"'):
            native.kernels()
        assert coding.available() == ("graph", "python")
    finally:
        native.kernels.cache_clear()
