"""`tools/train_torch`: its networks are the Keras ones, its runs resume, its weights publish."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from tests.interop.train_torch_calls import SMALL, TOOLS, call

pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture(scope="module")
def photos(tmp_path_factory, photo):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(3):
        Image.fromarray(photo(150, 170, seed=number)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def train(photos, run, steps, *more):
    done = call(
        "train.py",
        f"--run_dir={run}",
        f"--data={photos}",
        f"--steps={steps}",
        "--crop=64",
        "--batch_size=2",
        "--decay_share=1e-9",
        f"--settings={SMALL}",
        *more,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("run")
    done = train(photos, folder, 4, f"--kodak={photos}")
    assert "broken.png can't be read" in done.stdout
    return folder


def test_a_run_leaves_weights_and_a_curve(run):
    assert {path.name for path in run.iterdir()} == {
        "checkpoint.pt",
        "weights.safetensors",
        "curve.csv",
    }
    with (run / "curve.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["step"], row["pixels"]) == ("4", str(4 * 2 * 64 * 64))
    assert float(row["bpp_8"]) > float(row["bpp_1"]) > 0
    assert float(row["psnr_8"]) > float(row["psnr_1"]) > 10


def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(run, tmp_path, photos):
    train(photos, tmp_path, 2)
    train(photos, tmp_path, 4)
    import torch

    ours, theirs = (
        torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (tmp_path, run)
    )
    assert ours["step"] == theirs["step"] == 4
    for kind in ("model", "average"):
        for name, value in ours[kind].items():
            torch.testing.assert_close(value, theirs[kind][name], rtol=1e-4, atol=1e-6)


def test_other_settings_than_the_runs_are_refused(run, photos):
    done = call("train.py", f"--run_dir={run}", f"--data={photos}", "--steps=9")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "was made with the settings" in done.stderr


def test_a_folder_without_pictures_is_refused(tmp_path):
    done = call("train.py", f"--run_dir={tmp_path / 'run'}", f"--data={tmp_path}", "--steps=1")
    assert done.returncode == 1
    assert "error: no picture of 192 pixels or more" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_keras_networks_compute_what_pytorchs_do(run, photo, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import importlib.util

    import tensorflow as tf
    import torch

    spec = importlib.util.spec_from_file_location("publish_tool", TOOLS / "publish.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    from keras_weights import assign
    from networks import Mini2

    from tfhific.models.mini2_config import Mini2Config

    weights = run / "weights.safetensors"
    state, settings = tool.read_weights(weights)
    rng = np.random.default_rng(0)
    # Layers that start as nothing are to compute something.
    state = {k: v + rng.normal(0, 0.005, v.shape).astype(np.float32) for k, v in state.items()}
    theirs = Mini2(Mini2Config(**settings))
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    ours = tool.keras_model(weights)
    assign(ours, state)
    picture = photo(128, 192)[None].astype(np.float32)
    quality = np.array([1.3], np.float32)

    def close(found, expected, tolerance=1e-4):
        expected = expected.detach().numpy()
        if expected.ndim == 4:
            expected = expected.transpose(0, 2, 3, 1)
        error = np.abs(found.numpy() - expected).max()
        assert error <= tolerance * np.abs(expected).max()

    x = torch.tensor(picture.transpose(0, 3, 1, 2))
    y = theirs.analysis(x / 255 - 0.5)
    close(ours.analysis(picture / 255 - 0.5), y)
    gain, _ = theirs.gains(torch.tensor(quality))
    z = torch.round(theirs.hyper_analysis(y * gain))
    own_z = tf.constant(z.detach().numpy().transpose(0, 2, 3, 1))
    features = theirs.context.features(z)
    close(ours.context_features(own_z), features)
    close(ours.hyper_synthesis_scale(own_z), theirs.scales(z))
    own_y = tf.constant(y.detach().numpy().transpose(0, 2, 3, 1))
    close(ours.context_near(own_y), theirs.context.mix(theirs.context.near(y)))
    close(ours.synthesis(own_y), theirs.synthesis(y))
    decoded, bits_y, bits_z = ours(tf.constant(picture), tf.constant(quality))
    out = theirs(x, torch.tensor(quality), noisy=False)
    close(decoded, out["picture"], 1e-3)
    # Symbols far out in the tails are counted in another way where the training is: none of a
    # picture with next to no contrast.
    faint = 127 + 0.02 * (picture - 127)
    x = torch.tensor(faint.transpose(0, 3, 1, 2))
    _, bits_y, _ = ours(tf.constant(faint), tf.constant(quality))
    close(bits_y, theirs(x, torch.tensor(quality), noisy=False)["bits_y"], 1e-2)
    close(bits_z, out["bits_z"], 1e-5)


def test_a_runs_weights_become_a_model_that_codes(run, photos, tmp_path, photo):
    weights = run / "weights.safetensors"
    options = (f"--data={photos / '0.png'}", "--images=1", f"--out={tmp_path}")
    done = call("publish.py", weights, "tried", *options)
    assert done.returncode == 0, done.stderr
    import tfhific

    codec = tfhific.load(str(tmp_path / "tried"))
    out = tmp_path / "again.safetensors"
    done = call("weights_of.py", tmp_path / "tried", out)
    assert done.returncode == 0, done.stderr
    from safetensors.numpy import load_file

    again, before = load_file(out), load_file(weights)
    assert again.keys() == before.keys()
    for name, value in before.items():
        # What lies behind softplus and tanh is published evaluated.
        np.testing.assert_allclose(again[name], value, rtol=0.01, atol=2e-3, err_msg=name)
    assert call("weights_of.py", tmp_path / "tried", out).stderr.startswith("error: ")
    picture = photo(70, 90)
    coded = codec.encode(picture, 4.0)
    np.testing.assert_array_equal(codec.decompress(coded.data), codec.reconstruct(coded))


def test_a_run_begins_with_weights_of_fewer_blocks(run, photos, tmp_path):
    weights = run / "weights.safetensors"
    larger = SMALL.replace('"encoder_blocks": 1', '"encoder_blocks": 2')
    options = (f"--settings={larger}", f"--init_from={weights}", "--learning_rate=0")
    train(photos, tmp_path, 1, *options)
    from safetensors.numpy import load_file

    begun, found = load_file(weights), load_file(tmp_path / "weights.safetensors")
    assert {name.split(".")[2] for name in found if name not in begun} == {"1"}
    for name, value in begun.items():
        np.testing.assert_array_equal(found[name], value)
    assert not found["analysis.blocks.1.reduce.weight"].any()
    wider = SMALL.replace('"width": 16', '"width": 24')
    options = (f"--data={photos}", "--crop=64", f"--settings={wider}", f"--init_from={weights}")
    done = call("train.py", f"--run_dir={tmp_path / 'wider'}", *options)
    assert done.returncode == 1
    assert "error: expected weights of a model with these settings" in done.stderr


@pytest.mark.parametrize(("channels", "side", "height", "width"), [(6, 5, 7, 4), (3, 3, 1, 9)])
def test_depthwise_gradients_in_bfloat16_are_pytorchs(channels, side, height, width, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import torch
    from depthwise import Depthwise

    torch.manual_seed(0)
    layer = Depthwise(channels, side)
    x = torch.randn(2, channels, height, width, requires_grad=True)
    weights = torch.randn(2, channels, height, width)

    def gradients(low: bool) -> list[torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            total = (layer(x).float() * weights).sum()
        return list(torch.autograd.grad(total, [x, layer.weight, layer.bias]))

    for found, expected in zip(gradients(True), gradients(False)):
        assert found.dtype == expected.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02 * expected.abs().max())


def test_a_run_for_a_dead_zone_trains_what_decodes_on_the_symbols_that_it_leaves(
    run, photos, tmp_path
):
    weights = run / "weights.safetensors"
    train(photos, tmp_path, 2, f"--init_from={weights}", "--dead_zone=0.05", "--bfloat16")
    from safetensors.numpy import load_file

    begun, found = load_file(weights), load_file(tmp_path / "weights.safetensors")
    changed = {name.split(".")[0] for name in begun if not np.array_equal(begun[name], found[name])}
    assert changed == {"synthesis", "scales"}


def test_what_a_dead_zone_leaves_in_training_is_what_an_encoder_makes(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import torch
    from networks import dead_zone_width, nearest

    from tfhific.publishing.dead_zone import dead_zone
    from tfhific.runtimes.symbols import to_symbols

    scales = np.geomspace(0.11, 20, 40)
    symbols = np.random.default_rng(0).normal(0, 2, [500, 40]).astype(np.float32)
    for strength in (0.0, 0.02, 0.3):
        deviation = torch.tensor(scales, dtype=torch.float32).expand(500, 40)
        found = nearest(torch.tensor(symbols), dead_zone_width(deviation, strength)).numpy()
        width = dead_zone("gaussian", scales, strength)
        expected = to_symbols(symbols, width)
        assert np.mean(found != expected) < 1e-3
