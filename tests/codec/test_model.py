"""A published model is one file: what is saved comes back, and damage is told."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import struct

import numpy as np
import pytest
from safetensors.numpy import load, save

from tfhific import zoo
from tfhific.errors import ModelError, TfhificError
from tfhific.published.store import (
    FILE_NAME,
    digest,
    load_model,
    read_description,
    read_model,
    save_model,
)
from tfhific.publishing.hyperprior import publish


@pytest.fixture(scope="module")
def data(tiny_model_folder) -> bytes:
    return (tiny_model_folder / FILE_NAME).read_bytes()


@pytest.fixture
def load_bytes(tmp_path):
    """A function that loads a model's bytes."""

    def load_bytes(data: bytes):
        (tmp_path / FILE_NAME).write_bytes(data)
        return load_model(tmp_path)

    return load_bytes


def refusal(load_bytes, data) -> str:
    with pytest.raises(ModelError) as caught:
        load_bytes(data)
    message = str(caught.value)
    assert FILE_NAME in message
    assert "\n" not in message
    return message


def rewritten(data: bytes, change, *, sealed: bool = False) -> bytes:
    """The file with its description changed by a function, and its checksum too if `sealed`."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    description = json.loads(header["__metadata__"]["tfhific"])
    change(description)
    if sealed:
        description["sha256"] = digest(description, load(data))
    header["__metadata__"]["tfhific"] = json.dumps(description)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def test_what_is_saved_comes_back(tiny_published, tiny_model_folder):
    loaded = load_model(tiny_model_folder)
    assert loaded.fingerprint == tiny_published.fingerprint
    assert loaded.training == {"system": "mini", "step": 0}
    for name, network in tiny_published.networks.items():
        assert loaded.networks[name].layers == network.layers
        assert sorted(loaded.networks[name].weights) == sorted(network.weights)
        for key, value in network.weights.items():
            np.testing.assert_array_equal(loaded.networks[name].weights[key], value)
    for name in ("y_tables", "z_tables", "scale_gain", "scale_centre", "name", "system"):
        assert getattr(loaded, name) == getattr(tiny_published, name)
    for name in ("log_gain", "log_inverse_gain", "scales"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(tiny_published, name))
    for ours, theirs in zip(loaded.branch.layers, tiny_published.branch.layers):
        assert (ours.op, ours.stride, ours.shift) == (theirs.op, theirs.stride, theirs.shift)
        np.testing.assert_array_equal(ours.kernel, theirs.kernel)
        np.testing.assert_array_equal(ours.bias, theirs.bias)


def test_saving_twice_gives_the_same_bytes(tiny_model_folder, data, tmp_path):
    save_model(load_model(tiny_model_folder), tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == data


# Of what saving them writes. The file of mini-v1 is of an older writer, which had its arrays in
# another order; those of the realistic ones are decoders alone, and what is written is whole.
SAVED = {
    "mini-v3-realistic": "5d0a1139ec6a2b119f14395a2e50a0ad67eba8b61a1989c2b69729304bf14f05",
    "mini-v3": "7779a7acd224f84349f40f31db1724bdb3667edde11a38487ad9eff7e442332c",
    "mini-v1": "924b2cd3ef938d49fecac0decd38b89cb2c899934b1be7defa84c581b531d4e7",
    "mini-v2": "f58872f252b7dcc8992944d3c222c506eced74584202f50b120f79a88f6de1a9",
    "mini-v2-realistic": "c42b5200a565a0536588a6b417294c76fa3785a5395df62e9a4b0a63c000fbcb",
}


@pytest.mark.parametrize("name", SAVED)
def test_models_that_ship_are_saved_again_as_the_same_bytes(name, tmp_path):
    folder = pathlib.Path(zoo.__file__).parent / name
    loaded = load_model(folder)
    assert loaded.fingerprint.hex() == read_description(folder)["fingerprint"]
    save_model(loaded, tmp_path)
    written, shipped = ((f / FILE_NAME).read_bytes() for f in (tmp_path, folder))
    assert hashlib.sha256(written).hexdigest() == SAVED[name]
    ours, theirs = load(written), load(shipped)
    assert all(ours[key].tobytes() == value.tobytes() for key, value in theirs.items())
    alone = name.endswith("-realistic")
    assert (read_description(tmp_path) == read_description(folder)) != alone
    assert (sorted(ours) == sorted(theirs)) != alone
    assert (written == shipped) == (name in ("mini-v2", "mini-v3"))
    if alone:
        save_model(read_model(folder), tmp_path)
        assert (tmp_path / FILE_NAME).read_bytes() == shipped


def test_the_realistic_decoder_is_one_of_the_same_files():
    names = ("mini", "realistic")
    plain, other = (load_model(zoo.find_by_name(name)) for name in names)
    assert (plain.name, other.name) == ("mini-v3", "mini-v3-realistic")
    # Of the two, who names none gets the faithful one.
    assert zoo.find_by_fingerprint(plain.fingerprint) == zoo.find_by_name("mini")
    assert plain.fingerprint == other.fingerprint
    for name, network in plain.networks.items():
        same = all(
            np.array_equal(value, other.networks[name].weights[key])
            for key, value in network.weights.items()
        )
        assert same == (name != "synthesis")


def test_description_is_read_without_the_arrays(tiny_model_folder, tiny_published):
    description = read_description(tiny_model_folder)
    assert description["name"] == "tiny"
    assert description["fingerprint"] == tiny_published.fingerprint.hex()


def test_published_kernels_are_half_precision_numbers(tiny_published):
    for network in tiny_published.networks.values():
        for value in network.weights.values():
            np.testing.assert_array_equal(value, value.astype(np.float16).astype(np.float32))


def changed(model, name, change):
    network = model.networks[name]
    weights = {key: change(value) for key, value in network.weights.items()}
    networks = {**model.networks, name: dataclasses.replace(network, weights=weights)}
    return dataclasses.replace(model, networks=networks)


def test_fingerprint_names_what_gives_the_latents_back_and_nothing_else(tiny_published):
    model = tiny_published

    def nudged(array):
        array = array.copy()
        array.flat[0] += 1
        return array

    branch = model.branch
    first = branch.layers[0]
    elsewhere = [
        changed(model, "hyper_synthesis_mean", nudged),
        dataclasses.replace(model, log_inverse_gain=nudged(model.log_inverse_gain)),
        dataclasses.replace(
            model,
            branch=dataclasses.replace(
                branch,
                layers=(
                    dataclasses.replace(first, kernel=nudged(first.kernel)),
                    *branch.layers[1:],
                ),
            ),
        ),
        dataclasses.replace(
            model,
            z_tables=dataclasses.replace(model.z_tables, minimum=nudged(model.z_tables.minimum)),
        ),
    ]
    assert len({other.fingerprint for other in [model, *elsewhere]}) == len(elsewhere) + 1
    for same in (
        changed(model, "synthesis", nudged),
        changed(model, "analysis", nudged),
        dataclasses.replace(model, name="other", training={"step": 5}),
        dataclasses.replace(model, log_gain=nudged(model.log_gain)),
    ):
        assert same.fingerprint == model.fingerprint


def test_every_flipped_bit_tried_in_the_arrays_is_told(load_bytes, data):
    start = 8 + struct.unpack("<Q", data[:8])[0]
    rng = np.random.default_rng(1)
    for place in rng.integers(start, len(data), 60):
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.integers(8)
        refusal(load_bytes, bytes(damaged))


def test_every_flipped_bit_tried_in_the_header_is_told(load_bytes, data):
    end = 8 + struct.unpack("<Q", data[:8])[0]
    rng = np.random.default_rng(2)
    for place in [*range(8), *rng.integers(8, end, 120)]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.integers(8)
        refusal(load_bytes, bytes(damaged))


@pytest.mark.parametrize("share", [0.0, 1e-5, 0.001, 0.02, 0.5, 0.999999])
def test_cut_files_are_told(share, load_bytes, data):
    refusal(load_bytes, data[: int(share * len(data))])


@pytest.mark.parametrize(
    "data",
    [
        bytes(100),
        b"not a model",
        b"\xff" * 1000,
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 20) + b'{"__metadata__": {}} ',
        struct.pack("<Q", 40) + b'{"__metadata__": {"tfhific": "[1, 2]"}} ',
    ],
    ids=range(7),
)
def test_garbage_and_files_of_others_are_told(data, load_bytes):
    refusal(load_bytes, data)


def test_files_of_other_programs_with_arrays_are_told(load_bytes, tmp_path):
    arrays = {"weight": np.zeros([2, 2], np.float32)}
    refusal(load_bytes, save(arrays))
    refusal(load_bytes, save(arrays, {"tfhific": "{"}))
    refusal(load_bytes, save(arrays, {"tfhific": '{"format": 1}'}))


def test_format_of_another_version_is_named(load_bytes, data):
    message = refusal(
        load_bytes, rewritten(data, lambda description: description.update(format=99))
    )
    assert "99" in message


@pytest.mark.parametrize(
    "key",
    ["format", "name", "fingerprint", "networks", "branch", "scale_gain", "density_layers"],
)
def test_missing_or_changed_entries_of_the_description_are_told(key, load_bytes, data):
    refusal(load_bytes, rewritten(data, lambda description: description.pop(key)))
    for value in (None, [], {}, "x", -1, 1e400):
        refusal(
            load_bytes, rewritten(data, lambda description, v=value: description.update({key: v}))
        )


@pytest.mark.parametrize("value", [None, [], {}, "x", -1, 0, 1e400, [None], [{}], {"a": []}])
@pytest.mark.parametrize("key", ["networks", "branch", "scale_gain", "density_layers", "training"])
def test_hostile_descriptions_are_read_or_told_though_the_checksum_fits(
    key, value, load_bytes, data
):
    hostile = rewritten(data, lambda description: description.update({key: value}), sealed=True)
    try:
        load_bytes(hostile)
    except ModelError as error:
        told = str(error)
    else:
        told = None
    # A gain is any number, and how it was trained changes nothing: those are read.
    sound = {"scale_gain": value in (-1, 0, 1e400), "training": not value or value == {"a": []}}
    assert (told is None) == sound.get(key, False), told


def test_folder_without_a_model_is_told(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelError, match="holds no model"):
            load_model(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (lambda m: {"networks": {**m.networks, "extra": m.networks["analysis"]}}, "networks"),
        (lambda m: {"networks": {"analysis": m.networks["analysis"]}}, "networks"),
        (lambda m: {"log_gain": m.log_gain[:, :-1]}, "gains"),
        (lambda m: {"log_gain": m.log_gain[:1], "log_inverse_gain": m.log_gain[:1]}, "gains"),
        (lambda m: {"scales": m.scales[:-1]}, "scales"),
        (lambda m: {"scales": -m.scales}, "scales"),
        (lambda m: {"y_tables": m.z_tables}, "scales"),
        (lambda m: {"z_tables": m.y_tables}, "tables"),
        (lambda m: {"branch": dataclasses.replace(m.branch, layers=())}, "branch"),
        (lambda m: {"branch": dataclasses.replace(m.branch, num_scales=5)}, "branch"),
    ],
    ids=range(10),
)
def test_parts_that_do_not_fit_each_other_are_refused(changes, said, tiny_published):
    with pytest.raises(ModelError, match=f"its .*{said} do not fit"):
        dataclasses.replace(tiny_published, **changes(tiny_published))


@pytest.mark.parametrize("name", ["log_gain", "analysis", "z_prior"])
def test_weights_that_are_not_finite_are_not_published(name, tiny_model):
    part = getattr(tiny_model, name)
    variable = part if name == "log_gain" else part.trainable_variables[0]
    before = variable.numpy()
    variable.assign(np.full_like(before, np.nan))
    try:
        with pytest.raises(TfhificError, match="finite"):
            publish(tiny_model, "broken")
    finally:
        variable.assign(before)


def test_a_description_nested_deeply_is_told(load_bytes, data):
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["tfhific"] = "[" * 50_000
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    message = refusal(load_bytes, struct.pack("<Q", len(text)) + text + data[8 + length :])
    assert "nested too deeply" in message


@pytest.mark.parametrize("depth", [17, 300])
def test_branches_nested_deeply_are_told(depth, load_bytes, data):
    def nest(description):
        for _ in range(depth):
            inner = {"op": "residual", "branch": description["networks"]["hyper_analysis"]}
            description["networks"]["hyper_analysis"] = [inner]

    message = refusal(load_bytes, rewritten(data, nest, sealed=True))
    assert "nested" in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("network", "change"),
    [
        ("analysis", lambda layers: layers.pop()),
        ("hyper_analysis", lambda layers: layers.pop()),
        ("hyper_analysis", lambda layers: layers.insert(0, layers.pop())),
        (
            "hyper_synthesis_mean",
            lambda layers: layers.append({"op": "depth_to_space", "block": 2}),
        ),
        ("hyper_synthesis_scale", lambda layers: layers[0].update(stride=1)),
        ("synthesis", lambda layers: layers.append({"op": "space_to_depth", "block": 2})),
        ("synthesis", lambda layers: layers.append(dict(layers[0]))),
    ],
    ids=range(7),
)
def test_networks_that_do_not_fit_each_other_are_told_before_they_are_used(
    network, change, load_bytes, data
):
    def damage(description):
        change(description["networks"][network])

    refusal(load_bytes, rewritten(data, damage, sealed=True))
