"""A decoder alone: a file with a synthesis transform, and the codec whose files it decodes."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from safetensors.numpy import load

import tfhific
from tests.codec.rewriting import rewrite
from tfhific import zoo
from tfhific.errors import ModelError
from tfhific.evaluation.codecs import ModelCodec
from tfhific.published.decoder import DecoderModel
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.published.network import Network
from tfhific.published.store import (
    FILE_NAME,
    load_model,
    model_files,
    read_description,
    save_model,
)
from tfhific.publishing.decoder import decoder_alone, missing_codec

BIN = pathlib.Path(__file__).resolve().parents[2] / "bin"


def with_synthesis(model: HyperpriorModel, network: Network, **changes) -> HyperpriorModel:
    networks = {**model.networks, "synthesis": network}
    return dataclasses.replace(model, networks=networks, **changes)


@pytest.fixture(scope="module")
def sharper(tiny_published) -> HyperpriorModel:
    """The tiny model with another synthesis transform, one of a layer more than its own."""
    network = tiny_published.networks["synthesis"]
    weights = {key: value * np.float16(0.75) for key, value in network.weights.items()}
    deeper = Network([*network.layers, {"op": "leaky_relu", "slope": 0.5}], weights)
    training = {"system": "mini", "step": 7}
    return with_synthesis(
        tiny_published, deeper, name="sharper", training=training, config={"decoder_blocks": 3}
    )


@pytest.fixture
def folder(tiny_model_folder, sharper, tmp_path) -> pathlib.Path:
    """A folder of models: `tiny`, and `sharper`, a decoder alone of its files."""
    shutil.copytree(tiny_model_folder, tmp_path / "models" / "tiny")
    alone = decoder_alone(sharper, str(tmp_path / "models" / "tiny"))
    save_model(alone, tmp_path / "models" / "sharper")
    return tmp_path / "models"


def refusal(folder: pathlib.Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert str(folder / FILE_NAME) in message
    assert "\n" not in message
    assert len(message) < 1000
    return message


def test_a_decoder_alone_is_the_whole_model_that_it_was_made_of(folder, sharper, tmp_path):
    loaded = load_model(folder / "sharper")
    assert (loaded.name, loaded.training, loaded.config) == (
        "sharper",
        sharper.training,
        sharper.config,
    )
    whole, again = (
        pathlib.Path(save_model(model, tmp_path / name)).read_bytes()
        for name, model in (("whole", sharper), ("again", loaded))
    )
    assert whole == again


def test_its_file_holds_the_synthesis_transform_and_nothing_else(folder, sharper):
    arrays = load((folder / "sharper" / FILE_NAME).read_bytes())
    assert sorted(arrays) == sorted(sharper.networks["synthesis"].weights)
    description = read_description(folder / "sharper")
    assert description["decoder_of"] == "tiny"
    assert list(description["networks"]) == ["synthesis"]
    assert description["format"] == 5
    assert str(folder) not in json.dumps(description)


def test_its_codec_reads_the_same_files_to_other_pixels(folder, photo):
    plain, other = (tfhific.load(folder / name) for name in ("tiny", "sharper"))
    data = plain.compress(photo(50, 70), 3.0)
    assert other.compress(photo(50, 70), 3.0) == data
    assert not np.array_equal(plain.decompress(data), other.decompress(data))


def test_saving_it_again_gives_the_same_bytes(folder, sharper, tmp_path):
    alone = decoder_alone(load_model(folder / "sharper"), str(folder / "tiny"))
    written = pathlib.Path(save_model(alone, tmp_path / "again")).read_bytes()
    assert written == (folder / "sharper" / FILE_NAME).read_bytes()


def test_the_codec_beside_it_comes_before_those_that_are_found_by_name(
    folder, tiny_published, tmp_path, monkeypatch
):
    encoders = tmp_path / "elsewhere"
    louder = dataclasses.replace(tiny_published, log_gain=tiny_published.log_gain + 1)
    save_model(louder, encoders / "tiny")
    monkeypatch.setenv("TFHIFIC_MODELS", str(encoders))
    np.testing.assert_array_equal(load_model(folder / "sharper").log_gain, tiny_published.log_gain)
    shutil.rmtree(folder / "tiny")
    np.testing.assert_array_equal(load_model(folder / "sharper").log_gain, louder.log_gain)
    assert model_files(folder / "sharper") == [
        str(folder / "sharper" / FILE_NAME),
        str(encoders / "tiny" / FILE_NAME),
    ]


def test_the_folder_beside_it_is_found_from_within_it(folder, monkeypatch):
    monkeypatch.chdir(folder / "sharper")
    assert load_model(".").name == "sharper"


def test_a_codec_that_is_not_here_is_named_with_where_it_is_looked_for(folder):
    shutil.rmtree(folder / "tiny")
    message = refusal(folder / "sharper")
    assert f"for the files of tiny, which is not here: expected that model as '{folder}" in message
    assert "TFHIFIC_MODELS" in message


def test_a_codec_of_another_fingerprint_is_refused_with_both(folder, tiny_published):
    changed = tiny_published.log_inverse_gain + np.float32(0.25)
    stranger = dataclasses.replace(tiny_published, log_inverse_gain=changed)
    save_model(stranger, folder / "tiny")
    message = refusal(folder / "sharper")
    assert f"expected tiny, whose fingerprint is {tiny_published.fingerprint.hex()}" in message
    assert (
        f"Received: one of that name whose fingerprint is {stranger.fingerprint.hex()}" in message
    )


def test_a_damaged_codec_is_named_itself(folder):
    (folder / "tiny" / FILE_NAME).write_bytes(b"no model")
    assert str(folder / "tiny" / FILE_NAME) in refusal(folder / "sharper")


def test_a_decoder_of_a_decoder_is_refused_and_so_is_one_of_itself(folder):
    shutil.copytree(folder / "sharper", folder / "third")
    for name in ("sharper", "third"):
        rewrite(folder / "third", lambda d, name=name: d.update(decoder_of=name))
        assert "Received: a decoder alone" in refusal(folder / "third")


def test_a_codec_without_a_hyperprior_is_refused(folder, whole_models_folder):
    shutil.rmtree(folder / "tiny")
    shutil.copytree(whole_models_folder / "gc", folder / "tiny")
    assert "of mini. Received: one of gc" in refusal(folder / "sharper")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "../tiny",
            "models/tiny",
            "a\\tiny",
            "/tiny",
            "tiny\n",
            "C:tiny",
            "t" * 101,
        ),
        *(None, 5, ["tiny"], {"name": "tiny"}),
    ],
    ids=repr,
)
def test_what_is_no_plain_name_is_never_looked_for(name, folder):
    rewrite(folder / "sharper", lambda description: description.update(decoder_of=name))
    assert "expected the plain name of a model" in refusal(folder / "sharper")
    with pytest.raises(ModelError, match="plain name"):
        model_files(folder / "sharper")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(format=3), "Expected format 5 of a decoder alone. Received: 3"),
        (lambda d: d.pop("decoder_of"), "not a complete model"),
        (lambda d: d.update(fingerprint="12"), "16 hexadecimal digits"),
        (lambda d: d.update(fingerprint="z" * 16), "not a complete model"),
        (lambda d: d.update(fingerprint="0" * 16), "whose fingerprint is 0000000000000000"),
        (lambda d: d.update(system="mini2"), "of mini2. Received: one of mini"),
        (lambda d: d.update(pixel_range=[0, 1]), "pixels in [0.0, 1.0]"),
        (lambda d: d.update(pixel_range=[0]), "not a complete model"),
        (lambda d: d.update(networks={}), "expected the network synthesis"),
        (lambda d: d.update(networks={"analysis": []}), "expected the network synthesis"),
        (lambda d: d["networks"].update(analysis=[]), "expected the network synthesis"),
        (lambda d: d["networks"]["synthesis"].pop(0), "channels and strides do not fit"),
        (lambda d: d.update(config=3), "not a complete model"),
    ],
    ids=range(13),
)
def test_descriptions_that_are_none_are_told_though_the_checksum_fits(change, said, folder):
    rewrite(folder / "sharper", change)
    assert said in refusal(folder / "sharper")


def test_arrays_of_other_networks_are_refused(folder, tiny_published):
    network = tiny_published.networks["synthesis"]
    strange = Network(network.layers, {**network.weights, "analysis/x": np.zeros(3, np.float32)})
    with pytest.raises(ModelError, match="no other arrays"):
        DecoderModel("x", "mini", {"synthesis": strange}, {}, "tiny", bytes(8))


def test_every_flipped_bit_tried_is_told(folder):
    path = folder / "sharper" / FILE_NAME
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for place in [*range(8), *rng.integers(8, len(data), 60)]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        refusal(folder / "sharper")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: {"log_gain": m.log_gain + 1},
        lambda m: {"scale_centre": m.scale_centre + 1},
        lambda m: {"system": "hific"},
        lambda m: {"extras": {"kept": np.zeros(2, np.float32)}},
        lambda m: {"networks": {**m.networks, "analysis": halved(m.networks["analysis"])}},
    ],
    ids=range(5),
)
def test_a_model_that_differs_in_more_is_published_whole(change, folder, sharper):
    other = dataclasses.replace(sharper, **change(sharper))
    assert decoder_alone(other, str(folder / "tiny")) is other


def halved(network: Network) -> Network:
    return Network(network.layers, {key: value / 2 for key, value in network.weights.items()})


def test_another_decoder_of_a_decoders_codec_names_the_codec(folder, sharper):
    alone = decoder_alone(sharper, str(folder / "sharper"))
    assert isinstance(alone, DecoderModel)
    assert alone.decoder_of == "tiny"


def test_written_where_its_codec_is_not_it_says_what_is_missing(folder, sharper, tmp_path):
    alone = decoder_alone(sharper, str(folder / "tiny"))
    save_model(alone, tmp_path / "apart" / "sharper")
    assert "tiny, which is not here" in missing_codec(alone, str(tmp_path / "apart" / "sharper"))
    assert missing_codec(alone, str(folder / "sharper")) == ""
    assert missing_codec(sharper, str(tmp_path / "none")) == ""


def test_a_file_is_read_by_the_whole_model_that_made_it_where_there_is_one(
    folder, tiny_published, monkeypatch
):
    os.rename(folder / "sharper", folder / "before-tiny")
    monkeypatch.setenv("TFHIFIC_MODELS", str(folder))
    assert zoo.find_by_fingerprint(tiny_published.fingerprint) == str(folder / "tiny")
    # The codec beside it is not where models are looked for.
    monkeypatch.setenv("TFHIFIC_MODELS", str(folder / "before-tiny"))
    assert zoo.find_by_fingerprint(tiny_published.fingerprint) == str(folder / "before-tiny")
    assert tfhific.load("before-tiny").name == "sharper"


def test_results_of_a_comparison_are_of_both_files(folder, tiny_published):
    before = ModelCodec(str(folder / "sharper")).version
    louder = dataclasses.replace(tiny_published, log_gain=tiny_published.log_gain + 1)
    save_model(louder, folder / "tiny")
    assert ModelCodec(str(folder / "sharper")).version != before


def test_commands_take_it_as_they_take_a_whole_model(folder, run_python, photo, tmp_path):
    from tfhific.pictures.images import read_picture, write_png

    write_png(photo(40, 60), tmp_path / "a.png")
    file, model = tmp_path / "a.tfh", folder / "sharper"

    def run(command, *words):
        script = BIN / f"{command}.py"
        return run_python(script, *words, environment={"TFHIFIC_MODELS": str(folder)})

    done = run("compress", tmp_path / "a.png", file, "--model=sharper")
    assert done.returncode == 0, done.stderr
    done = run("info", file, "--json")
    assert json.loads(done.stdout)["model"] == "tiny"
    for runtime in ("tensorflow", "litert"):
        target = tmp_path / f"{runtime}.png"
        done = run("decompress", file, target, "--decoder=sharper", f"--runtime={runtime}")
        assert done.returncode == 0, done.stderr
        expected = tfhific.load(model, runtime=runtime).decompress(file.read_bytes())
        assert np.abs(read_picture(target).pixels.astype(int) - expected).max() <= 1
    shutil.rmtree(folder / "tiny")
    done = run("decompress", file, tmp_path / "b.png", f"--decoder={model}")
    assert done.returncode == 1
    assert b"tiny, which is not here" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "b.png").exists()
