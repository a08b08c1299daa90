"""Models run by LiteRT: TensorFlow's symbols, its pixels within one, and no TensorFlow loaded."""

from __future__ import annotations

import os
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

import tfhific
from tfhific import systems
from tfhific.bitstream import fuzz
from tfhific.bitstream.kept import Kept
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import ArgumentError, BitstreamError, ModelError, TfhificError
from tfhific.pictures.images import read_picture
from tfhific.published.integer_branch import IntegerBranch
from tfhific.published.network import Network
from tfhific.published.ops import Gdn
from tfhific.published.store import load_model
from tfhific.runtimes import choice
from tfhific.runtimes.base import Runtime

pytest.importorskip("ai_edge_litert")

ROOT = pathlib.Path(__file__).resolve().parents[2]
KODAK = ROOT.parent / "shared" / "data" / "kodak"


@pytest.fixture(scope="module")
def runtimes() -> tuple[Runtime, Runtime]:
    """TensorFlow's and LiteRT's."""
    return choice.make("tensorflow", "float32"), choice.make("litert", "float32")


@pytest.fixture(scope="module")
def light(tiny_model_folder):
    """The tiny model as a codec that LiteRT runs."""
    return tfhific.load(tiny_model_folder, runtime="litert")


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def kernel(*shape: int) -> dict:
    return {"kernel": shape, "bias": shape[-1:]}


NORM = {"gamma": (6,), "beta": (6,)}
LAYERS = {
    "conv": ({"op": "conv", "stride": 1}, kernel(5, 5, 6, 4)),
    "conv of even kernel": ({"op": "conv", "stride": 1}, kernel(4, 2, 6, 4)),
    "conv that halves": ({"op": "conv", "stride": 2}, kernel(5, 5, 6, 4)),
    "conv with pads": ({"op": "conv", "stride": 2, "pads": [0, 1, 1, 0]}, kernel(3, 3, 6, 4)),
    "conv reflected": ({"op": "conv", "stride": 2, "padding": "reflect"}, kernel(5, 5, 6, 4)),
    "deconv": (
        {"op": "deconv", "stride": 2},
        {"kernel": (5, 5, 4, 6), "bias": (4,)},
    ),
    "deconv with crop": (
        {"op": "deconv", "stride": 4, "crop": [1, 2]},
        {"kernel": (7, 6, 3, 6), "bias": (3,)},
    ),
    "plain conv": (
        {"op": "plain_conv", "stride": 2, "padding": "SAME"},
        kernel(3, 3, 6, 4),
    ),
    "plain conv without padding": (
        {"op": "plain_conv", "stride": 1, "padding": "VALID"},
        kernel(3, 3, 6, 4),
    ),
    "plain deconv": (
        {"op": "plain_deconv", "stride": 2},
        {"kernel": (3, 3, 4, 6), "bias": (4,)},
    ),
    "depthwise": ({"op": "depthwise_conv"}, {"kernel": (5, 5, 6), "bias": (6,)}),
    "gdn": ({"op": "gdn", "inverse": False}, {"gamma": (6, 6), "beta": (6,)}),
    "inverse gdn": ({"op": "gdn", "inverse": True}, {"gamma": (6, 6), "beta": (6,)}),
    "channel norm": ({"op": "channel_norm", "epsilon": 1e-3}, NORM),
    "instance norm": ({"op": "instance_norm", "epsilon": 1e-3}, NORM),
    "reflect pad": ({"op": "reflect_pad", "size": 3}, {}),
    "affine": ({"op": "affine"}, NORM),
    "relu": ({"op": "relu"}, {}),
    "leaky relu": ({"op": "leaky_relu", "slope": 0.25}, {}),
    "tanh": ({"op": "tanh"}, {}),
    "sigmoid": ({"op": "sigmoid"}, {}),
    "scale": ({"op": "scale", "factor": -0.5}, {}),
    "space to depth": ({"op": "space_to_depth", "block": 2}, {}),
    "depth to space": ({"op": "depth_to_space", "block": 2}, {}),
    "sum": ({"op": "sum", "branches": [[{"op": "relu"}], [{"op": "tanh"}], []]}, {}),
    "residual": ({"op": "residual", "branch": [{"op": "tanh"}, {"op": "relu"}]}, {}),
}


@pytest.mark.parametrize("case", LAYERS)
def test_layers_give_what_they_give_by_tensorflow(case, runtimes):
    layer, shapes = LAYERS[case]
    rng = np.random.default_rng(1)
    # Positive: a GDN divides by what they make of the values' sizes.
    arrays = {
        f"a/{name}": rng.uniform(0.1, 1.0, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    network = Network([{**layer, **({"name": "a"} if shapes else {})}], arrays)
    width = 8 if case == "depth to space" else 6
    for size in ((8, 12), (4, 4), (8, 12)):
        values = rng.normal(0, 1, (1, *size, width)).astype(np.float32)
        expected, found = (runtime.run(network, values) for runtime in runtimes)
        close(found, expected)


def test_a_layer_that_litert_is_not_taught_is_named_before_any_work(runtimes):
    network = Network([{"op": "relu"}, {"op": "sum", "branches": [[{"op": "flatten"}]]}], {})
    with pytest.raises(ModelError, match=r"'flatten'.*use the runtime tensorflow"):
        runtimes[1].check(network)


@pytest.mark.parametrize("threshold", [False, True])
def test_the_integer_branch_gives_the_same_integers(threshold, runtimes, tiny_published):
    branch = tiny_published.branch
    if threshold:
        *layers, last = branch.layers
        object.__setattr__(last := type(last)(**vars_of(last)), "shift", 0)
        bounds = np.sort(np.random.default_rng(2).integers(-(1 << 30), 1 << 30, 63))
        branch = IntegerBranch((*layers, last), 64, bounds)
    rng = np.random.default_rng(3)
    for size, spread in (((1, 1), 3), ((5, 7), 40), ((6, 4), 5000)):
        z = rng.integers(-spread, spread + 1, (1, *size, branch.takes())).astype(np.int32)
        expected, found = (runtime.indexes(branch, z) for runtime in runtimes)
        assert found.dtype == expected.dtype == np.int32
        np.testing.assert_array_equal(found, expected)


def vars_of(layer) -> dict:
    return {name: getattr(layer, name) for name in ("op", "stride", "shift", "kernel", "bias")}


def agree(heavy, light, picture: np.ndarray, quality: float | None) -> None:
    """Files of each, read by both: the same integers, pixels within one."""
    for data in (heavy.compress(picture, quality), light.compress(picture, quality)):
        ours, theirs = light.decode_latents(data), heavy.decode_latents(data)
        for name in ("y", "z", "indexes"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        decoded = [codec.decompress(data).astype(int) for codec in (light, heavy)]
        assert decoded[0].shape == picture.shape
        assert np.abs(decoded[0] - decoded[1]).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (96, 64), (150, 211)])
@pytest.mark.parametrize("quality", [1.0, 5.5, 8.0])
def test_files_of_either_runtime_are_read_alike_by_both(size, quality, tiny_codec, light, photo):
    assert (tiny_codec.runtime, light.runtime) == ("tensorflow", "litert")
    agree(tiny_codec, light, photo(*size), quality)


def test_a_file_decodes_to_what_its_encoder_says_and_tiles_change_no_pixel_by_more_than_one(
    light, photo, tiny_model_folder
):
    picture = photo(330, 270)
    coded = light.encode(picture, 6.0)
    whole = light.decompress(coded.data)
    np.testing.assert_array_equal(whole, light.reconstruct(coded))
    tiled = tfhific.load(tiny_model_folder, runtime="litert", tile=128)
    assert np.abs(tiled.decompress(coded.data).astype(int) - whole).max() <= 1
    assert tiled.holds(coded.data, picture)


@pytest.mark.parametrize("name", ["gc", "gc-hyper", "noisy", "sent", "sc"])
def test_codes_of_centres_are_those_of_tensorflow_and_pixels_within_one(
    name, whole_models_folder, whole_codec, label_picture, photo
):
    light = tfhific.load(whole_models_folder / name, runtime="litert")
    heavy = whole_codec(name)
    assert (heavy.runtime, light.runtime) == ("tensorflow", "litert")
    for size in ((1, 1), (70, 45), (128, 96)):
        picture, side = photo(*size), {}
        if name in ("sent", "sc"):
            side["labels"] = label_picture(*size, 5)
        if name == "sc":
            side["kept"] = Kept((2, 3), ((0, 0, 20, 9),) if size != (1, 1) else ())
        for writer in (heavy, light):
            data = writer.compress(picture, **side)
            codes = [codec.decode_symbols(data) for codec in (heavy, light)]
            np.testing.assert_array_equal(*codes)
            decoded = [codec.decompress(data).astype(int) for codec in (heavy, light)]
            assert decoded[0].shape == picture.shape
            assert np.abs(decoded[0] - decoded[1]).max() <= 1


def test_normalising_a_large_picture_is_exact(runtimes):
    layer = {"op": "instance_norm", "epsilon": 1e-5, "name": "a"}
    arrays = {"a/gamma": np.ones(2, np.float32), "a/beta": np.zeros(2, np.float32)}
    values = np.random.default_rng(0).normal(100, 1, (1, 1536, 1024, 2)).astype(np.float32)
    expected = (values - values.mean((1, 2), np.float64)) / values.std((1, 2), np.float64)
    found = runtimes[1].run(Network([layer], arrays), values)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_what_the_runtime_can_not_do_is_told(whole_models_folder, tiny_model_folder, monkeypatch):
    with pytest.raises(ArgumentError, match="runtime among auto, tensorflow, litert"):
        tfhific.load(tiny_model_folder, runtime="onnx")
    with pytest.raises(ArgumentError, match=r"computes in float32. Received: 'bfloat16'"):
        tfhific.load(tiny_model_folder, runtime="litert", precision="bfloat16")
    light = tfhific.load(tiny_model_folder, runtime="litert")
    with pytest.raises(TfhificError, match=r"gradients, which the runtime litert has none of"):
        light.compress(np.zeros([8, 8, 3], np.uint8), effort=2)
    with pytest.raises(TfhificError, match="runtime litert does not run: expected tensorflow"):
        tfhific.load(whole_models_folder / "inversion", runtime="litert")
    monkeypatch.setattr(choice, "installed", lambda name: name == "litert")
    assert tfhific.load(tiny_model_folder).runtime == "litert"
    with pytest.raises(TfhificError, match=r"not installed: .* pip install '.\[tensorflow\]'"):
        tfhific.load(tiny_model_folder, runtime="tensorflow")
    with pytest.raises(TfhificError, match=r"not installed: .* pip install '.\[tensorflow\]'"):
        tfhific.load(whole_models_folder / "inversion")


def test_light_is_litert_where_that_does_what_is_asked_for_and_tensorflow_is_not_loaded(
    tiny_published, whole_models_folder, monkeypatch
):
    from tfhific.runtimes.litert import layers

    centres = load_model(whole_models_folder / "gc")

    def light(published, precision="float32") -> str:
        return systems.codec_class(published).runtime_for(published, "light", precision)

    assert light(tiny_published) == "tensorflow"
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert light(tiny_published) == "litert"
    assert light(tiny_published, "bfloat16") == "tensorflow"
    assert light(centres) == "tensorflow"
    assert light(load_model(whole_models_folder / "inversion")) == "tensorflow"
    with monkeypatch.context() as untaught:
        untaught.delitem(layers._WRITERS, Gdn)
        assert light(tiny_published) == "tensorflow"
    monkeypatch.setattr(choice, "installed", lambda name: name == "tensorflow")
    assert light(tiny_published) == "tensorflow"
    monkeypatch.setattr(choice, "installed", lambda name: name == "litert")
    assert light(tiny_published) == light(centres) == "litert"
    with pytest.raises(TfhificError, match="needs the runtime tensorflow, which is not installed"):
        light(tiny_published, "bfloat16")


WITHOUT_TENSORFLOW = """
import importlib.machinery, runpy, sys

class Installed(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras", "tensorflow_compression"):
            return None
        return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Installed
script, sys.argv[:] = sys.argv[1], sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""


def test_commands_work_in_new_processes_where_tensorflow_is_not(
    run_python, models_folder, whole_models_folder, photo, tiny_codec, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    pixels = np.dstack([photo(70, 90), photo(70, 90, 1)[..., 0]])
    Image.fromarray(pixels).save(tmp_path / "a.png")

    def run(script: str, *arguments):
        done = run_python(
            "-c",
            WITHOUT_TENSORFLOW,
            ROOT / "bin" / f"{script}.py",
            *arguments,
            environment={"TFHIFIC_MODELS": str(models_folder)},
        )
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()

    run("compress", tmp_path / "a.png", f"--model={whole_models_folder / 'gc'}", "-o", "c.tfh")
    run("decompress", "c.tfh", "c.png", f"--model={whole_models_folder / 'gc'}")
    assert Image.open(tmp_path / "c.png").size == (90, 70)
    run("compress", tmp_path / "a.png", "--model=tiny", "--quality=4", "--verify")
    run("info", tmp_path / "a.tfh")
    run("decompress", tmp_path / "a.tfh", tmp_path / "b.png")
    found = np.asarray(Image.open(tmp_path / "b.png"))
    expected = tiny_codec.decompress_picture((tmp_path / "a.tfh").read_bytes())
    assert np.abs(found[..., :3].astype(int) - expected.pixels).max() <= 1
    np.testing.assert_array_equal(found[..., 3], pixels[..., 3])


def test_folders_are_done_by_litert_in_new_processes_without_tensorflow(
    run_python, models_folder, photo, tiny_codec, tmp_path
):
    names = ("a", "b", "deep/a")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number, name in enumerate(names):
        Image.fromarray(photo(30 + number, 41, number)).save(tmp_path / "in" / f"{name}.png")

    def run(script: str, *arguments) -> bytes:
        done = run_python(
            "-c",
            WITHOUT_TENSORFLOW,
            ROOT / "bin" / f"{script}.py",
            *(tmp_path / name for name in arguments),
            "--recursive",
            "--runtime=litert",
            *(["--model=tiny"] if script == "compress" else []),
            environment={"TFHIFIC_MODELS": str(models_folder)},
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    run("compress", "in", "packed")
    run("decompress", "packed", "out")
    packed = [(tmp_path / "packed" / f"{name}.tfh").read_bytes() for name in names]
    for name, data in zip(names, packed):
        found = np.asarray(Image.open(tmp_path / "out" / f"{name}.png")).astype(int)
        assert np.abs(found - tiny_codec.decompress(data)).max() <= 1, name
    (tmp_path / "packed" / "b.tfh").unlink()
    run("compress", "in", "packed")
    assert [(tmp_path / "packed" / f"{name}.tfh").read_bytes() for name in names] == packed


def test_the_command_says_nothing_but_its_line_and_loads_no_tensorflow(run_script, photo, tmp_path):
    Image.fromarray(photo(40, 50)).save(tmp_path / "a.png")
    done = run_script("compress", tmp_path / "a.png", "--model=tiny", "--runtime=litert")
    assert (done.returncode, done.stderr) == (0, b"")
    done = run_script(
        "decompress", tmp_path / "a.tfh", "-o", tmp_path / "b.png", "--runtime=litert"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert Image.open(tmp_path / "b.png").size == (50, 40)


def agree_on_changed(heavy, light, picture: np.ndarray, count: int) -> int:
    """Files with changed bytes under checksums that fit: read alike, or refused by both."""
    files = [light.compress(picture, quality) for quality in (2.0, 6.0)]
    refused = 0
    for seed, data in enumerate(files):
        for changed in fuzz.mutations(data, count // len(files), seed, repaired=True):
            said = []
            for codec in (heavy, light):
                try:
                    said.append(codec.decompress(changed).astype(int))
                except BitstreamError as error:
                    said.append(str(error))
            ours, theirs = said
            if isinstance(ours, str) or isinstance(theirs, str):
                assert isinstance(ours, str), changed.hex()
                assert isinstance(theirs, str), changed.hex()
                assert ours.split(":")[0] == theirs.split(":")[0], changed.hex()
                refused += 1
            else:
                assert np.abs(ours - theirs).max() <= 1, changed.hex()
    return refused


def test_changed_files_are_read_alike_or_refused_by_both(tiny_codec, light, photo):
    assert 0 < agree_on_changed(tiny_codec, light, photo(40, 52), 120) < 120


@pytest.mark.slow
def test_5000_changed_files_are_read_alike_or_refused_by_both(tiny_codec, light, photo):
    assert 0 < agree_on_changed(tiny_codec, light, photo(40, 52), 5000) < 5000


@pytest.mark.slow
@pytest.mark.apart
@pytest.mark.parametrize("quality", [1.0, 5.0, 8.0])
def test_kodaks_files_of_either_runtime_are_read_alike_by_both(quality):
    paths = sorted(KODAK.glob("*.png"))
    if not paths:
        pytest.skip(f"needs Kodak's photographs in {os.path.relpath(KODAK, ROOT)}")
    heavy, light = (tfhific.load("mini", runtime=name) for name in choice.RUNTIMES)
    assert isinstance(light, HyperpriorCodec)
    for path in paths:
        agree(heavy, light, read_picture(path).pixels, quality)
