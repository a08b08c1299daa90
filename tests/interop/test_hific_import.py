"""A PyTorch HiFiC's checkpoint, imported: the same networks, and a codec like any other."""

from __future__ import annotations

import math
import pathlib

import numpy as np
import pytest

import tfhific
from tfhific.errors import ModelError
from tfhific.interop.hific_checkpoint import checkpoint_of, model_of
from tfhific.interop.hific_layout import entries
from tfhific.interop.torch_checkpoint import read_checkpoint
from tfhific.interop.torch_writer import write_checkpoint
from tfhific.models.hific import HiFiCConfig
from tfhific.published.store import save_model
from tfhific.publishing.hyperprior import publish

LAYOUT = pathlib.Path(__file__).parents[3] / "shared/reference/hific_pytorch_state_dict.txt"


def test_full_size_layout_has_the_published_number_of_tensors_and_parameters():
    found = list(entries(HiFiCConfig(variant="pytorch")))
    assert len(found) == len({entry.name for entry in found}) == 168
    assert round(sum(math.prod(entry.shape) for entry in found) / 1e6, 2) == 184.28


@pytest.mark.skipif(not LAYOUT.exists(), reason="the list of published names is not here")
def test_full_size_layout_is_the_published_one():
    lines = LAYOUT.read_text().splitlines()
    published = [line.split("\t")[:2] for line in lines if not line.startswith("#") and line]
    ours = [[entry.name, str(entry.shape)] for entry in entries(HiFiCConfig(variant="pytorch"))]
    assert ours == published


VARIANTS = {
    "gaussian": {},
    "logistic": {"likelihood_type": "logistic", "regime": "med"},
    "normalized": {"normalize": True},
    "logistic, normalized, no adversary": {
        "likelihood_type": "logistic",
        "normalize": True,
        "discriminator": (),
    },
}


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request, torch_hific, tmp_path_factory, photo):
    """A PyTorch model, and the folder that its checkpoint is imported into by the script."""
    import torch

    settings = dict(VARIANTS[request.param])
    options = {k: settings.pop(k) for k in ("normalize", "discriminator") if k in settings}
    theirs = torch_hific.HiFiC(**options).eval()
    image = torch.tensor(photo(128, 192).transpose(2, 0, 1)[None] / 255.0).float()
    torch_hific.livelier(theirs, image * 2 - 1 if options.get("normalize") else image)
    folder = tmp_path_factory.mktemp("imported")
    torch.save(torch_hific.checkpoint(theirs, **settings), folder / "model.pt")
    return theirs, folder


@pytest.fixture(scope="module")
def imported(pair):
    _, folder = pair
    found = model_of(read_checkpoint(folder / "model.pt"))
    training = {"system": "hific", "imported": found.facts}
    save_model(publish(found.model, "model", training, half=False), folder / "model")
    return tfhific.load(folder / "model")


def close(found, expected, relative=1e-4):
    found = np.asarray(found)
    expected = expected.detach().numpy().transpose(0, 2, 3, 1)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=relative * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("size", [(80, 80), (160, 96)])
def test_imported_networks_compute_what_pytorch_computes(pair, imported, size, photo):
    import torch

    theirs, ours = pair[0], imported.model
    pixels = photo(*size)[None].astype(np.float32)
    image = np.asarray(ours.to_range(pixels))
    low = -1.0 if theirs.Generator.tanh else 0.0
    np.testing.assert_allclose(image, pixels / 255 * (1 - low) + low, atol=1e-6)
    as_torch = torch.tensor(image.transpose(0, 3, 1, 2))
    y = theirs.Encoder(as_torch)
    close(ours.encoder(image), y)
    latents = y.detach().numpy().transpose(0, 2, 3, 1)
    close(ours.generator(latents), theirs.Generator(y))
    padded = torch.nn.functional.pad(y, (0, -y.shape[3] % 4, 0, -y.shape[2] % 4), mode="reflect")
    z = theirs.Hyperprior.analysis_net(padded)
    close(ours.hyper_analysis(padded.detach().numpy().transpose(0, 2, 3, 1)), z)
    z = torch.round(z)
    z_here = z.detach().numpy().transpose(0, 2, 3, 1)
    close(ours.hyper_synthesis_mean(z_here), theirs.Hyperprior.synthesis_mu(z))
    close(ours.hyper_synthesis_scale(z_here), theirs.Hyperprior.synthesis_std(z))
    close(ours.z_prior(z_here), theirs.Hyperprior.hyperlatent_likelihood(z), 1e-5)
    if hasattr(theirs, "Discriminator"):
        close(ours.discriminator(image, latents), theirs.Discriminator(as_torch, y))
    else:
        assert ours.discriminator is None


@pytest.mark.parametrize("size", [(1, 1), (37, 50), (64, 65), (131, 200)])
def test_codec_of_an_imported_model_agrees_with_pytorch(pair, imported, size, photo):
    import torch

    theirs = pair[0]
    picture = photo(*size)
    data = imported.compress(picture)
    latents = imported.decode_latents(data)
    z = torch.tensor(latents.z.transpose(2, 0, 1)[None]).float()
    h, w = latents.y.shape[:2]
    assert (h, w) == tuple(max(-(-side // 16), 5) for side in size)
    mean = theirs.Hyperprior.synthesis_mu(z)[..., :h, :w]
    np.testing.assert_allclose(
        latents.y_hat - latents.y, mean[0].detach().numpy().transpose(1, 2, 0), atol=1e-4
    )
    scale = theirs.Hyperprior.synthesis_std(z)[..., :h, :w].clamp(min=0.11)
    near = imported.published.scales[latents.indexes]
    ratio = near / scale[0].detach().numpy().transpose(1, 2, 0)
    step = (256 / 0.11) ** (1 / 63)
    inside = scale[0].detach().numpy().transpose(1, 2, 0) < 256
    assert np.all(np.abs(np.log(ratio[inside])) < 0.55 * np.log(step))
    y_hat = torch.tensor(latents.y_hat.transpose(2, 0, 1)[None]).float()
    expected = theirs.Generator(y_hat)[0].detach().numpy().transpose(1, 2, 0)
    low = -1.0 if theirs.Generator.tanh else 0.0
    expected = np.clip(np.rint((expected - low) / (1 - low) * 255), 0, 255)
    difference = np.abs(expected[: size[0], : size[1]] - imported.decompress(data))
    assert difference.max() <= 1


def test_files_cost_little_over_the_estimate(imported, photo):
    for size in ((256, 256), (300, 420)):
        picture = photo(*size, seed=3)
        estimate = imported.estimate_bpp(picture) * size[0] * size[1] / 8
        assert len(imported.compress(picture)) <= 1.01 * estimate + 64


@pytest.mark.parametrize("pair", ["logistic"], indirect=True)
def test_a_tiled_picture_decodes_to_the_whole_one(pair, imported, photo):
    picture = photo(300, 420, seed=5)
    tiled = tfhific.load(pair[1] / "model", tile=128)
    data = imported.compress(picture)
    whole = imported.decompress(data)
    assert np.abs(tiled.decompress(data).astype(int) - whole).max() <= 1
    again = imported.decompress(tiled.compress(picture)).astype(int)
    assert np.mean(np.abs(again - whole) > 1) < 1e-3


def test_export_gives_the_checkpoint_back(pair, imported, tmp_path):
    import torch

    path = tmp_path / "back.pt"
    facts = imported.published.training["imported"]
    write_checkpoint(path, checkpoint_of(imported.model, facts))
    before = torch.load(pair[1] / "model.pt", weights_only=True)
    after = torch.load(path, weights_only=True)
    assert after["args"] == before["args"]
    assert (after["epoch"], after["steps"]) == (before["epoch"], before["steps"])
    for part in ("model_state_dict", "discriminator_state_dict"):
        assert (part in after) == (part in before)
        if part in before:
            assert set(after[part]) == set(before[part])
            for name, value in before[part].items():
                assert torch.equal(after[part][name], value), name


@pytest.mark.slow
def test_scripts_import_code_and_export(torch_hific, run_python, photo, tmp_path):
    import torch

    from tfhific.pictures.images import write_png

    scripts = pathlib.Path(__file__).parents[2] / "bin"
    original = torch_hific.checkpoint(torch_hific.HiFiC())
    torch.save(original, tmp_path / "model.pt")
    write_png(photo(70, 90), tmp_path / "a.png")
    model, back = tmp_path / "imported", tmp_path / "back.pt"
    for arguments in (
        ("import_torch.py", tmp_path / "model.pt", model, "--reader=own"),
        ("compress.py", tmp_path / "a.png", f"--model={model}"),
        ("decompress.py", tmp_path / "a.tfh", tmp_path / "b.png", f"--model={model}"),
        ("export_torch.py", model, back),
    ):
        done = run_python(scripts / arguments[0], *arguments[1:])
        assert done.returncode == 0, done.stderr.decode()
    state = torch.load(back, weights_only=True)["model_state_dict"]
    assert all(torch.equal(value, original["model_state_dict"][k]) for k, value in state.items())
    for arguments in (
        ("import_torch.py", tmp_path / "model.pt", model),
        ("export_torch.py", model, back),
    ):
        refused = run_python(scripts / arguments[0], *arguments[1:])
        assert refused.returncode == 1
        assert b"overwrite" in refused.stderr


@pytest.fixture(scope="module")
def contents(torch_hific):
    return torch_hific.checkpoint(torch_hific.HiFiC())


@pytest.fixture
def saved(contents, tmp_path):
    """A function that saves the checkpoint after a change and reads it: `saved(change)`."""
    import copy

    import torch

    def save(change=lambda c: None):
        changed = copy.deepcopy(contents)
        change(changed)
        torch.save(changed, tmp_path / "changed.pt")
        return read_checkpoint(tmp_path / "changed.pt")

    return save


KERNEL = "Encoder.conv_block3.1.weight"


def rename(c):
    c["model_state_dict"]["Encoder.conv_block3.weight"] = c["model_state_dict"].pop(KERNEL)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename, r"1 missing: Encoder\.conv_block3\.1\.weight; 1 left over: Encoder\.conv_block3"),
        (lambda c: c["model_state_dict"].pop(KERNEL), rf"1 missing: {KERNEL}\."),
        (
            lambda c: c["model_state_dict"].update({KERNEL: c["model_state_dict"][KERNEL][:5]}),
            rf"1 of another shape: {KERNEL} \(5, 10, 3, 3\) for \(12, 10, 3, 3\)",
        ),
        (lambda c: c["model_state_dict"].update({"x.y": c["model_state_dict"][KERNEL]}), "x.y"),
        (lambda c: c["args"].update(n_residual_blocks=3), "missing: Generator.resblock_2"),
        (lambda c: c["args"].update(n_residual_blocks=1), "left over: Generator.resblock_1"),
        (lambda c: c["args"].update(n_residual_blocks=10**9), "n_residual_blocks from 1 to"),
        (lambda c: c["args"].update(latent_channels=13), "of another shape"),
        (lambda c: c["args"].update(latent_channels="12"), "latent_channels"),
        (lambda c: c["args"].update(use_channel_norm=False), "use_channel_norm"),
        (lambda c: c["args"].update(use_latent_mixture_model=True), "latent_mixture"),
        (lambda c: c["args"].update(likelihood_type="laplacian"), "laplacian"),
        (lambda c: c["args"].update(regime="lowest"), "lowest"),
        (lambda c: c.pop("args"), "args"),
        (lambda c: c.pop("model_state_dict"), "model_state_dict"),
        (lambda c: c["model_state_dict"][KERNEL].fill_(float("nan")), "not finite"),
        (
            lambda c: c["model_state_dict"].update({KERNEL: c["model_state_dict"][KERNEL].int()}),
            "floating-point",
        ),
    ],
    ids=range(17),
)
def test_checkpoints_that_do_not_fit_their_settings_are_refused(change, said, saved):
    with pytest.raises(ModelError, match=said):
        model_of(saved(change))


def test_tables_of_evaluation_are_ignored_and_other_tensors_on_request(saved):
    import torch

    def change(c):
        state = c["model_state_dict"]
        state["Hyperprior.prior_entropy_model.CDF"] = torch.zeros(64, 10, dtype=torch.int32)
        state["Hyperprior.hyperprior_entropy_model.CDF_offset"] = torch.zeros(8)
        state["Hyperprior.hyperprior_entropy_model.distribution.H_0"] = torch.zeros(8, 3, 1)
        state["Hyperprior.prior_entropy_model.scale_table"] = torch.zeros(64)

    ignored = model_of(saved(change)).ignored
    assert len(ignored) == 4
    strange = saved(lambda c: c["model_state_dict"].update({"x.y": torch.zeros(3)}))
    assert model_of(strange, ignore_extra=True).ignored == ("x.y",)


def test_names_as_parallel_training_saves_them_are_known(saved):
    def change(c):
        c["model_state_dict"] = {f"module.{k}": v for k, v in c["model_state_dict"].items()}

    assert model_of(saved(change)).model.discriminator is not None


def test_a_discriminator_saved_apart_is_found(saved):
    def change(c):
        state = c["model_state_dict"]
        for name in [name for name in state if name.startswith("Discriminator.")]:
            del state[name]

    assert model_of(saved(change)).model.discriminator is not None


def test_script_tells_a_mistake_in_one_line(call_script, tmp_path):
    for arguments in ((), ("a.pt",), (tmp_path / "missing.pt", tmp_path / "out")):
        done = call_script("import_torch", *arguments)
        assert done.code == 1
        assert done.err.strip().count("\n") == 0
        assert not (tmp_path / "out").exists()
