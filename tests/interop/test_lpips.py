"""LPIPS weights of PyTorch's packages, for which small ones stand in."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest

from tfhific.losses.lpips import LPIPS
from tfhific.losses.lpips_weights import BACKBONES, Conv, Fire, Tap


class Tensor:
    """As much of a tensor as is asked for."""

    def __init__(self, value):
        self._value = value

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self._value


def state_of(backbone: str) -> tuple[dict, dict]:
    """State dicts of a narrow backbone, named as theirs are, and of its heads."""
    rng = np.random.default_rng(0)
    trunk, heads, width = {}, {}, 3

    def conv(name, conv, inputs, outputs):
        size = [outputs, inputs, conv.size, conv.size]
        trunk[f"{name}.weight"] = Tensor(rng.normal(0, 0.3, size).astype(np.float32))
        trunk[f"{name}.bias"] = Tensor(rng.normal(0, 0.1, [outputs]).astype(np.float32))
        return outputs

    tap = 0
    for place, layer in enumerate(BACKBONES[backbone][0]):
        name = f"slice{tap + 1}.{place}"
        if isinstance(layer, Conv):
            width = conv(name, layer, width, 4 + place)
        elif isinstance(layer, Fire):
            squeeze, one, three = layer.parts
            inner = conv(f"{name}.squeeze", squeeze, width, 3)
            width = conv(f"{name}.expand1x1", one, inner, 4)
            width += conv(f"{name}.expand3x3", three, inner, 5)
        elif isinstance(layer, Tap):
            heads[f"{tap}.model.1.weight"] = Tensor(rng.uniform(0, 1, [1, width, 1, 1]))
            tap += 1
    return trunk, heads


@pytest.fixture
def packages(monkeypatch):
    """Stand-ins for lpips and torchvision."""
    calls = []

    class Stand:
        def __init__(self, net, version, verbose):
            calls.append((net, version))
            ours = {"vgg": "vgg16"}.get(net, net)
            trunk, heads = state_of(ours)
            self.net = types.SimpleNamespace(state_dict=lambda: trunk)
            self.lins = types.SimpleNamespace(state_dict=lambda: heads)

    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    module = types.ModuleType("lpips")
    module.LPIPS = Stand
    monkeypatch.setitem(sys.modules, "lpips", module)
    return types.SimpleNamespace(calls=calls, lpips=module)


@pytest.mark.parametrize("backbone", ["alex", "squeeze", "vgg16"])
def test_written_file_is_read_as_that_backbone(backbone, packages, call_script, tmp_path):
    path = tmp_path / "weights.npz"
    done = call_script("import_lpips", path, f"--backbone={backbone}")
    assert (done.code, done.err) == (0, "")
    assert packages.calls == [({"vgg16": "vgg"}.get(backbone, backbone), "0.1")]
    layer = LPIPS(path)
    assert (layer.backbone, layer.whole) == (backbone, True)
    trunk, _ = state_of(backbone)
    first = next(iter(trunk.values())).numpy()
    with np.load(path, allow_pickle=False) as stored:
        name = "conv1_1/kernel" if backbone == "vgg16" else "conv1/kernel"
        np.testing.assert_array_equal(stored[name], np.moveaxis(first, (0, 1), (3, 2)))
    images = np.random.default_rng(1).uniform(-1, 1, [2, 1, 40, 40, 3]).astype(np.float32)
    assert layer((images[0], images[1])).numpy()[0] > 0
    refused = call_script("import_lpips", path)
    assert refused.code == 1
    assert "--overwrite" in refused.err


def one_line(done, said):
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert said in done.err


def test_missing_packages_are_told(call_script, tmp_path):
    if importlib.util.find_spec("lpips") and importlib.util.find_spec("torchvision"):
        pytest.skip("lpips and torchvision are here")
    one_line(call_script("import_lpips", tmp_path / "a.npz"), "pip install lpips torchvision")
    one_line(call_script("import_lpips", tmp_path / "a.pth"), ".npz")
    assert not list(tmp_path.iterdir())


def test_what_packages_can_not_give_is_told(packages, call_script, tmp_path, monkeypatch):
    def fail(**_):
        raise OSError("no route to host\nmore")

    monkeypatch.setattr(packages.lpips, "LPIPS", fail)
    one_line(call_script("import_lpips", tmp_path / "a.npz"), "OSError: no route to host")

    trunk, heads = state_of("alex")
    del trunk["slice1.0.weight"]
    other = types.SimpleNamespace(
        net=types.SimpleNamespace(state_dict=lambda: trunk),
        lins=types.SimpleNamespace(state_dict=lambda: heads),
    )
    monkeypatch.setattr(packages.lpips, "LPIPS", lambda **_: other)
    one_line(call_script("import_lpips", tmp_path / "a.npz"), "Received: 4 and 5")
    assert not list(tmp_path.iterdir())
