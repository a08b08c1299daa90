"""`tools/train_torch/realistic.py`: another decoder for the files of a trained model."""

from __future__ import annotations

import csv
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.interop.train_torch_calls import SMALL, TOOLS, call

pytest.importorskip("torch", reason="PyTorch is not installed")

ILLM = ("--adversary=illm", "--labels=8")
ENCODER = ("--encoder", "--learning_rate=0.003", "--warmup_steps=1")
SETTINGS = (*("--crop=64", "--batch_size=2", "--window=32"), "--decay_share=1e-9")


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> dict[str, pathlib.Path]:
    """Files of an AlexNet with heads and of a VGG16 without, of few channels."""
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("networks")

    def convolutions(sizes: dict[str, int], width: int) -> dict[str, np.ndarray]:
        arrays, before = {}, 3
        for name, side in sizes.items():
            kernel = rng.normal(0, 1 / side / np.sqrt(before), (side, side, before, width))
            arrays[f"{name}/kernel"] = kernel.astype(np.float32)
            arrays[f"{name}/bias"] = np.full([width], 0.1, np.float32)
            before = width
        return arrays

    alex = convolutions({"conv1": 11, "conv2": 5, "conv3": 3, "conv4": 3, "conv5": 3}, 6)
    heads = {f"lin{i}": rng.uniform(0.1, 1, 6).astype(np.float32) for i in range(5)}
    depths = {1: 2, 2: 2, 3: 3, 4: 3}
    vgg = convolutions({f"conv{b}_{i + 1}": 3 for b, n in depths.items() for i in range(n)}, 4)
    np.savez(folder / "alex.npz", **alex, **heads)
    np.savez(folder / "vgg.npz", **vgg)
    return {"lpips": folder / "alex.npz", "features": folder / "vgg.npz"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory, photo) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(2):
        Image.fromarray(photo(150, 170, seed=number)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def codec_run(tmp_path_factory, photos) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("codec")
    done = call(
        "train.py",
        *(f"--run_dir={folder}", f"--data={photos}", "--steps=2", f"--settings={SMALL}"),
        *("--crop=64", "--batch_size=2"),
    )
    assert done.returncode == 0, done.stderr
    return folder


def train(codec_run, photos, networks, run, steps, *more) -> subprocess.CompletedProcess:
    files = (f"--{name}={path}" for name, path in networks.items())
    done = call(
        "realistic.py",
        *(f"--run_dir={run}", f"--init_from={codec_run / 'weights.safetensors'}"),
        *(f"--data={photos}", f"--steps={steps}", *files, *SETTINGS, *more),
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory, codec_run, photos, networks) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("realistic")
    train(codec_run, photos, networks, folder, 4, "--gan_from=0.5", f"--kodak={photos}")
    return folder


def test_nothing_but_the_synthesis_transform_changes(run, codec_run):
    from safetensors.numpy import load_file

    before, after = (load_file(folder / "weights.safetensors") for folder in (codec_run, run))
    changed = {name for name, value in before.items() if not np.array_equal(value, after[name])}
    assert before.keys() == after.keys()
    assert changed
    assert all(name.startswith("synthesis.") for name in changed)


def test_a_run_measures_where_it_began_and_where_it_ended(run):
    with (run / "curve.csv").open() as file:
        first, last = csv.DictReader(file)
    assert (first["step"], last["step"]) == ("0", "4")
    assert float(first["psnr_1"]) > 10
    assert 0 < float(last["lpips_1"]) != float(first["lpips_1"])


@pytest.fixture(scope="module")
def label_run(tmp_path_factory, codec_run, photos, networks) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("labels")
    train(codec_run, photos, networks, folder, 4, "--gan_from=0.5", *ILLM)
    return folder


@pytest.fixture(scope="module")
def encoder_run(tmp_path_factory, codec_run, photos, networks) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("encoder")
    train(codec_run, photos, networks, folder, 4, "--gan_from=0.5", f"--kodak={photos}", *ENCODER)
    return folder


def test_with_its_encoder_nothing_changes_that_decodes_symbols(encoder_run, codec_run):
    from safetensors.numpy import load_file

    before, after = (load_file(f / "weights.safetensors") for f in (codec_run, encoder_run))
    changed = {name for name, value in before.items() if not np.array_equal(value, after[name])}
    parts = {name.partition(".")[0] for name in changed}
    assert parts == {"synthesis", "analysis", "hyper_analysis", "log_gain"}
    with (encoder_run / "curve.csv").open() as file:
        first, last = csv.DictReader(file)
    assert 0 < float(first["bpp_1"]) != float(last["bpp_1"])


def test_a_bit_weighs_more_where_files_have_outgrown_the_codecs(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import torch
    from configuration import Mini2Config
    from rate_weight import RateWeight

    weight = RateWeight(Mini2Config())
    quality = torch.linspace(1.0, 8.0, 8)
    before = weight(quality)
    # As much as they should be: nothing moves.
    weight.follow(quality, torch.ones(8), torch.ones(8))
    torch.testing.assert_close(weight(quality), before)
    weight.follow(quality, torch.full([8], 1.5), torch.ones(8))
    assert bool((weight(quality) > before).all())
    # Too large at low qualities, too small at high ones.
    tilted, before = torch.exp(torch.linspace(0.5, -0.5, 8)), weight(quality)
    weight.follow(quality, tilted, torch.ones(8))
    ratio = weight(quality) / before
    assert ratio[0] > 1 > ratio[-1]


@pytest.mark.parametrize("kind", ["patch", "illm", "encoder"])
def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(
    kind, codec_run, photos, networks, tmp_path, request
):
    # The discriminator comes in at step 2 of either.
    own = {"patch": (), "illm": ILLM, "encoder": ENCODER}[kind]
    train(codec_run, photos, networks, tmp_path, 2, "--gan_from=1", *own)
    train(codec_run, photos, networks, tmp_path, 4, "--gan_from=0.5", *own)
    import torch

    runs = {"patch": "run", "illm": "label_run", "encoder": "encoder_run"}
    whole = request.getfixturevalue(runs[kind])
    ours, theirs = (
        torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (tmp_path, whole)
    )
    for kind in ("model", "discriminator", "average"):
        for name, value in ours[kind].items():
            torch.testing.assert_close(value, theirs[kind][name], rtol=1e-4, atol=1e-6)


def test_a_run_from_before_encoders_were_trained_goes_on(
    run, codec_run, photos, networks, tmp_path
):
    import torch

    train(codec_run, photos, networks, tmp_path, 2, "--gan_from=1")
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for kind, whole in (("synthesis", saved.pop("model")), ("average", saved["average"])):
        saved[kind] = {
            name[len("synthesis.") :]: value
            for name, value in whole.items()
            if name.startswith("synthesis.")
        }
    saved["optimisers"]["synthesis"] = saved["optimisers"].pop("codec")
    del saved["encoder"], saved["rate_weight"]
    torch.save(saved, tmp_path / "checkpoint.pt")
    train(codec_run, photos, networks, tmp_path, 4, "--gan_from=0.5")
    ours, theirs = (
        torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (tmp_path, run)
    )
    for name, value in ours["average"].items():
        torch.testing.assert_close(value, theirs["average"][name], rtol=1e-4, atol=1e-6)


def published(folder: pathlib.Path, codec_run, run, photos) -> tuple:
    """Codecs of a run's codec, published as `plain`, and of the run for its files, as `real`."""
    options = (f"--data={photos / '0.png'}", "--images=1", f"--out={folder}")
    done = call("publish.py", codec_run / "weights.safetensors", "plain", *options)
    assert done.returncode == 0, done.stderr
    own = (f"--stream_of={folder / 'plain'}", f"--out={folder}")
    done = call("publish.py", run / "weights.safetensors", "real", *own)
    assert done.returncode == 0, done.stderr
    import tfhific

    plain, real = (tfhific.load(str(folder / name)) for name in ("plain", "real"))
    assert plain.fingerprint == real.fingerprint
    return plain, real


def test_its_decoder_reads_the_files_of_the_model_it_began_with(
    run, codec_run, photos, tmp_path, photo
):
    import tfhific

    plain, real = published(tmp_path, codec_run, run, photos)
    data = plain.compress(photo(70, 90), 3.0)
    assert data == real.compress(photo(70, 90), 3.0)
    assert not np.array_equal(plain.decompress(data), real.decompress(data))
    pixels = real.decompress(data)

    own = (f"--stream_of={tmp_path / 'plain'}", f"--out={tmp_path}", "--whole")
    done = call("publish.py", run / "weights.safetensors", "all", *own)
    assert done.returncode == 0, done.stderr
    sizes = {
        n: (tmp_path / n / "model.safetensors").stat().st_size for n in ("plain", "real", "all")
    }
    assert sizes["real"] < sizes["plain"] * 0.6 < sizes["all"]
    shutil.rmtree(tmp_path / "plain")
    np.testing.assert_array_equal(tfhific.load(str(tmp_path / "all")).decompress(data), pixels)
    with pytest.raises(tfhific.ModelError, match="for the files of plain, which is not here"):
        tfhific.load(str(tmp_path / "real"))


def test_an_encoder_that_was_trained_with_it_is_published_with_it(
    encoder_run, codec_run, photos, tmp_path, photo
):
    import tfhific

    plain, real = published(tmp_path, codec_run, encoder_run, photos)
    assert not np.array_equal(plain.published.log_gain, real.published.log_gain)
    for name in ("analysis", "hyper_analysis", "synthesis"):
        ours, theirs = (each.published.networks[name].weights for each in (plain, real))
        assert any(not np.array_equal(ours[key], theirs[key]) for key in ours)
    data = real.compress(photo(70, 90), 3.0)
    assert plain.decompress(data).shape == (70, 90, 3)
    # It does without the codec.
    shutil.rmtree(tmp_path / "plain")
    pixels = tfhific.load(str(tmp_path / "real")).decompress(data)
    np.testing.assert_array_equal(pixels, real.decompress(data))


def test_a_decoder_of_more_blocks_is_published_alone(codec_run, photos, networks, tmp_path, photo):
    run = tmp_path / "run"
    train(codec_run, photos, networks, run, 2, "--decoder_blocks=2")
    done = call("publish.py", codec_run / "weights.safetensors", "plain", f"--out={tmp_path}")
    assert done.returncode == 0, done.stderr
    own = (f"--stream_of={tmp_path / 'plain'}", f"--out={tmp_path / 'apart'}")
    done = call("publish.py", run / "weights.safetensors", "real", *own)
    assert done.returncode == 0, done.stderr
    assert "note: " in done.stderr
    assert "plain, which is not here" in done.stderr
    shutil.move(tmp_path / "apart" / "real", tmp_path / "real")
    import tfhific

    plain, real = (tfhific.load(str(tmp_path / name)) for name in ("plain", "real"))
    data = plain.compress(photo(70, 90), 3.0)
    assert real.decompress(data).shape == (70, 90, 3)
    assert (plain.published.config or {})["decoder_blocks"] == 1
    assert (real.published.config or {})["decoder_blocks"] == 2
    done = call("publish.py", run / "weights.safetensors", "plain", own[0], f"--out={tmp_path}")
    assert done.returncode == 1
    assert "would be lost" in done.stderr


def test_decoders_of_one_codec_are_judged_side_by_side(
    run, encoder_run, codec_run, photos, networks, tmp_path
):
    both = codec_run / "weights.safetensors", run / "weights.safetensors"
    runs = (*both, encoder_run / "weights.safetensors")
    seen = (f"--networks={networks['lpips']}", f"--features={networks['features']}")
    options = (f"--kodak={photos}", *seen, "--qualities=2", "--every=4")
    done = call("judge.py", *runs, *options)
    assert done.returncode == 0, done.stderr
    head, _, *rows = done.stdout.strip().splitlines()
    assert head == "| quality | weights | bpp | PSNR | alex | Frechet |"
    bits = [float(line.split("|")[3]) for line in rows]
    assert bits[0] == bits[1] != bits[2]
    values = [[float(x) for x in line.split("|")[4:7]] for line in rows]
    assert all(row[2] > 0 for row in values)
    assert values[0] != values[1] != values[2]
    with (run / "curve.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert values[1][0] == pytest.approx(float(last["psnr_2"]), abs=0.02)
    assert values[1][1] == pytest.approx(float(last["lpips_2"]), rel=0.02)

    done = call(
        "train.py",
        *(f"--run_dir={tmp_path}", f"--data={photos}", "--steps=1", f"--settings={SMALL}"),
        *("--crop=64", "--batch_size=2", "--seed=5"),
    )
    assert done.returncode == 0, done.stderr
    done = call("judge.py", both[0], tmp_path / "weights.safetensors", *options)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'weights.safetensors'} is of another codec")
    (tmp_path / "none").mkdir()
    for flag, said in (
        (f"--networks={tmp_path / 'no.npz'}", "expected a file; there is none at"),
        ("--qualities=high", "invalid numbers value: 'high'"),
        (f"--kodak={tmp_path / 'no'}", "expected a folder; there is none at"),
        (f"--kodak={tmp_path / 'none'}", "error: no PNG or WebP file in"),
    ):
        done = call("judge.py", both[0], *options, flag)
        assert done.returncode
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_tables_are_taken_or_fitted_and_not_both(run, photos, tmp_path):
    own = (f"--stream_of={tmp_path / 'plain'}", f"--data={photos / '0.png'}", f"--out={tmp_path}")
    done = call("publish.py", run / "weights.safetensors", "real", *own)
    assert done.stderr.startswith("error: expected --stream_of or --data, not both")
    done = call("publish.py", run / "weights.safetensors", "real", own[0], "--dead_zone=1", own[2])
    assert done.stderr.startswith("error: expected --stream_of or --dead_zone, not both")
    done = call("publish.py", run / "weights.safetensors", "real", "--dead_zone=-1", own[2])
    assert done.stderr.startswith("error: --dead_zone: expected a number of at least 0")


def test_a_run_that_began_with_other_weights_is_refused(run, photos, tmp_path):
    begun = tmp_path / "begun"
    done = call(
        "train.py",
        *(f"--run_dir={begun}", f"--data={photos}", "--steps=1", f"--settings={SMALL}"),
        *("--crop=64", "--batch_size=2", "--seed=5"),
    )
    assert done.returncode == 0, done.stderr
    done = call("publish.py", begun / "weights.safetensors", "plain", f"--out={tmp_path}")
    assert done.returncode == 0, done.stderr
    own = (f"--stream_of={tmp_path / 'plain'}", f"--out={tmp_path}")
    done = call("publish.py", run / "weights.safetensors", "real", *own)
    assert done.returncode == 1
    assert "error: expected a run that began with the weights of plain" in done.stderr
    assert not (tmp_path / "real").exists()


@pytest.mark.parametrize("flag", ["lpips", "features"])
def test_a_file_that_holds_no_network_is_refused(flag, codec_run, photos, networks, tmp_path):
    (tmp_path / "wrong.npz").write_bytes(b"no arrays")
    files = {**networks, flag: tmp_path / "wrong.npz"}
    done = call(
        "realistic.py",
        *(f"--run_dir={tmp_path / 'run'}", f"--init_from={codec_run / 'weights.safetensors'}"),
        *(f"--data={photos}", *(f"--{name}={path}" for name, path in files.items()), *SETTINGS),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'wrong.npz'}: expected an npz file")
    assert "Traceback" not in done.stderr


def test_labels_tell_textures_apart_and_their_discriminator_learns_them(
    label_run, networks, photos, monkeypatch
):
    monkeypatch.syspath_prepend(str(TOOLS))
    import crops
    import perceptual
    import torch
    from discriminator import LabelDiscriminator
    from labels import Labels

    torch.manual_seed(0)
    torch.set_num_threads(1)
    labels = Labels(perceptual.vgg16(networks["features"]), 8)
    labels.fit(crops.Crops(photos, 64, 0), 0)
    rng = np.random.default_rng(0)
    picture = np.full((1, 3, 64, 64), 90.0, np.float32)
    picture[..., 32:] += rng.normal(0, 40, (1, 3, 64, 32)).astype(np.float32)
    found = labels(torch.tensor(picture)).numpy()
    assert found.shape == (1, 8, 8)
    flat, noise = found[0, 1:-1, 1:3], found[0, 1:-1, 5:-1]
    assert len(np.unique(flat)) == 1
    assert not np.isin(noise, flat).any()

    # Taught on two pairs alone it knows what was decoded, and most labels of the true ones.
    judge = LabelDiscriminator(4, labels)
    images = torch.tensor(np.concatenate([picture, picture[..., ::-1]]))
    made, code = images * 0.5 + 60.0, torch.zeros(2, 4, 4, 4)
    optimiser = torch.optim.Adam(judge.parameters(), 3e-3)
    truth = judge.truth(images)
    assert truth.min() >= 1
    before = float(judge.decoders(made, code, truth).mean())
    for _ in range(60):
        optimiser.zero_grad()
        judge.own(images, made, code, truth).backward()
        optimiser.step()
    assert float((judge(made, code).argmax(1) == 0).float().mean()) > 0.9
    assert float(judge.decoders(made, code, truth).mean()) > 1.5 * before
    assert float(judge.decoders(images, code, truth).mean()) < 0.6 * before


@pytest.mark.parametrize("what", ["weights", "blocks", "labels", "encoder"])
def test_a_run_goes_on_with_what_it_began_with_alone(
    what, run, codec_run, photos, networks, tmp_path
):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    begun = codec_run / "weights.safetensors"
    if what == "weights":
        with safe_open(begun, "np") as file:
            metadata = file.metadata()
        arrays = load_file(begun)
        arrays["log_gain"] = arrays["log_gain"] + np.float16(0.5)
        begun = tmp_path / "other.safetensors"
        save_file(arrays, begun, metadata=metadata)
    done = call(
        "realistic.py",
        *(f"--run_dir={run}", f"--init_from={begun}", f"--data={photos}", "--steps=9"),
        *(*(f"--{name}={path}" for name, path in networks.items()), *SETTINGS),
        f"--decoder_blocks={2 if what == 'blocks' else 1}",
        *{"labels": ILLM, "encoder": ENCODER}.get(what, ()),
    )
    assert done.returncode == 1
    assert f"error: {run / 'checkpoint.pt'} began with other weights" in done.stderr


def test_weights_that_are_none_are_refused(photos, networks, tmp_path):
    (tmp_path / "wrong").write_bytes(b"no weights")
    done = call(
        "realistic.py",
        *(f"--run_dir={tmp_path / 'run'}", f"--init_from={tmp_path / 'wrong'}"),
        *(f"--data={photos}", *(f"--{name}={path}" for name, path in networks.items())),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'wrong'}: expected the weights of a run")


def test_distances_are_lpips(photo, monkeypatch, tmp_path):
    """Those of `tfhific.losses.lpips`, which is held against the published values."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import perceptual
    import torch

    from tfhific.losses.lpips import LPIPS

    shared = TOOLS.parents[2] / "shared" / "data" / "weights"
    names = ("lpips_alex_v0.1.npz", "lpips_squeeze_v0.1.npz")
    if not all((shared / name).exists() for name in names):
        pytest.skip("needs ../shared/data/weights")
    one, other = (photo(96, 128, seed=seed)[None].astype(np.float32) for seed in (0, 1))
    for name in names:
        wanted = LPIPS(shared / name)((one / 127.5 - 1, other / 127.5 - 1)).numpy()
        first, second = (torch.tensor(x.transpose(0, 3, 1, 2)) for x in (one, other))
        with torch.no_grad():
            found = perceptual.lpips(shared / name)(first, second).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-3)
