"""Fuzz targets: a function for each reader of files that strangers make.

Each takes any bytes and returns; whatever it raises is a find. What a reader is documented to
refuse with is caught here, and nothing else.
"""

from __future__ import annotations

import functools
import io
import json
import os
import tempfile
from collections.abc import Callable

import numpy as np

from tfc_port import coding
from tfhific.bitstream import container, label_map
from tfhific.bitstream.checksum import checksum
from tfhific.bitstream.kept import read_kept
from tfhific.errors import BitstreamError, ModelError
from tfhific.interop.pickle_reader import read_pickle
from tfhific.pictures import exif, header, tiff
from tfhific.pictures.colour import UnfaithfulError
from tfhific.pictures.plane import check_plane
from tfhific.pictures.png import DamagedPngError
from tfhific.pictures.tiff_folder import TruncatedError
from tfhific.published.code import CodeModel
from tfhific.published.decoder import DecoderModel
from tfhific.published.factorized import FactorizedDensity
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.published.integer_branch import IntegerBranch, IntegerLayer
from tfhific.published.model import PublishedModel
from tfhific.published.network import Network
from tfhific.published.store import FILE_NAME, digest, load_model, save_model
from tfhific.published.tensor_file import TensorFile, parts


def container_target(data: bytes) -> None:
    """The frame of a `.tfh` file, behind a checksum that fits, and its plainer sections."""
    try:
        contents = container.unpack(data + checksum(data))
    except BitstreamError:
        return
    size = contents.height, contents.width
    assert container.unpack(container.pack(contents)) == contents
    for read in (
        lambda: container.split_bands(contents.y, 1 + contents.band_rows % 16),
        lambda: check_plane(contents.alpha or b"", size),
        lambda: read_kept(contents.kept or b"", size, 5),
    ):
        try:
            read()
        except BitstreamError:
            continue


@functools.cache
def tables() -> coding.Tables:
    """Three rows: an ordinary one, a certain one, a steep one."""
    pmfs = [np.array([0.1, 0.5, 0.3, 0.1]), np.array([1.0]), np.array([0.001, 0.999])]
    return coding.Tables.from_pmfs(pmfs, np.array([-1, 4, 0]))


def payload_target(data: bytes) -> None:
    """An entropy coder's payload. The first two bytes choose the number of values and streams."""
    count, streams = data[:1], data[1:2]
    count, streams = sum(count), 1 << (sum(streams) % 7)
    rows = np.arange(count, dtype=np.int32) % tables().rows
    try:
        coding.check(data[2:], count, streams=streams)
        sound = True
    except coding.CodingError:
        sound = False
    try:
        values = coding.decode(data[2:], rows, tables(), streams=streams, implementation="python")
    except coding.CodingError:
        return
    assert sound, "refused by `check` and decoded"
    again = coding.encode(values, rows, tables(), streams=streams, implementation="python")
    decoded = coding.decode(again, rows, tables(), streams=streams, implementation="python")
    assert np.array_equal(decoded, values)


def label_map_target(data: bytes) -> None:
    """A label map. The first three bytes choose its size and classes."""
    height, width, classes = (1 + byte % 24 for byte in (data + bytes(3))[:3])
    try:
        labels = label_map.decode_label_map(data[3:], (height, width), classes + 1)
    except BitstreamError:
        return
    assert labels.shape == (height, width)
    assert labels.max() <= classes


def pickle_target(data: bytes) -> None:
    """The pickle of a checkpoint."""
    try:
        read_pickle(io.BytesIO(data))
    except ModelError:
        return


def picture_target(data: bytes) -> None:
    """What is read of a picture before it is decoded: header, EXIF block, a TIFF's folders."""
    for read in (header.read_header, tiff.read_tiff):
        try:
            read(io.BytesIO(data))
        except (TruncatedError, UnfaithfulError, DamagedPngError):
            continue
    exif.upright_exif(data)


def smallest_models() -> dict[str, PublishedModel]:
    """A model of each kind of file with next to nothing in it."""
    relu = [{"op": "relu"}]
    small = tables()

    def network(name: str, op: str, stride: int, inputs: int, outputs: int) -> Network:
        side = 3 if stride == 2 else 1
        channels = (inputs, outputs) if op == "conv" else (outputs, inputs)
        weights = {
            f"{name}/0/kernel": np.ones([side, side, *channels], np.float32),
            f"{name}/0/bias": np.zeros([outputs], np.float32),
        }
        return Network([{"op": op, "name": f"{name}/0", "stride": stride}], weights)

    hyper = small.rows
    networks = {
        "analysis": network("analysis", "conv", 2, 3, 2),
        "synthesis": network("synthesis", "deconv", 2, 2, 3),
        "hyper_analysis": network("hyper_analysis", "conv", 1, 2, hyper),
        "hyper_synthesis_mean": network("hyper_synthesis_mean", "conv", 1, hyper, 2),
        "hyper_synthesis_scale": network("hyper_synthesis_scale", "conv", 1, hyper, 2),
    }
    kernel = np.ones([1, 1, hyper, 2], np.int16)
    layer = IntegerLayer("conv", 1, 1, kernel, np.zeros([2], np.int64))
    model = HyperpriorModel(
        name="least",
        system="mini",
        networks=networks,
        training={},
        branch=IntegerBranch((layer,), small.rows, None),
        scale_gain=1.0,
        scale_centre=0.0,
        scales=np.array([0.1, 1.0, 2.0]),
        density=FactorizedDensity((np.ones([3, 1, 1], np.float32),), (np.zeros([3, 1, 1]),), ()),
        y_tables=small,
        z_tables=small,
        log_gain=np.zeros([2, 2], np.float32),
        log_inverse_gain=np.zeros([2, 2], np.float32),
    )
    whole = CodeModel(
        name="least",
        system="gc",
        networks={"generator": Network(relu, {})},
        training={},
        tables={"code": small},
        decoding={"a": 1},
        defining=("generator",),
    )
    decoder = DecoderModel.of(model, model, "codec")
    return {"model": model, "whole": whole, "decoder": decoder}


@functools.cache
def _model_folder() -> tempfile.TemporaryDirectory:
    """A folder for a model to be in, `read`, beside the codec that a decoder alone may be of."""
    folder = tempfile.TemporaryDirectory()
    save_model(smallest_models()["model"], os.path.join(folder.name, "codec"))
    os.makedirs(os.path.join(folder.name, "read"))
    return folder


@functools.cache
def _arrays(system: str) -> dict[str, np.ndarray]:
    """The arrays of the least models."""
    with tempfile.TemporaryDirectory() as folder:
        path = save_model(smallest_models()[system], folder)
        return {name: np.array(value) for name, value in TensorFile(path).arrays.items()}


def model_target(data: bytes) -> None:
    """A model's file. The first byte says whether the rest is all of it, or its description only.

    Beside a description there are the arrays of the least models, and its checksum is made to fit.
    """
    kind, rest = data[:1], data[1:]
    folder = os.path.join(_model_folder().name, "read")
    systems = {name[:1].encode(): name for name in smallest_models()}
    if kind in systems:
        arrays = _arrays(systems[kind])
        try:
            description = json.loads(rest)
            if isinstance(description, dict):
                description["sha256"] = digest(description, arrays)
            text = json.dumps(description)
        except (ValueError, RecursionError):
            return
        rest = b"".join(bytes(part) for part in parts(arrays, {"tfhific": text}))
    with open(os.path.join(folder, FILE_NAME), "wb") as file:
        file.write(rest)
    try:
        load_model(folder)
    except ModelError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    "container": container_target,
    "payload": payload_target,
    "model": model_target,
    "label_map": label_map_target,
    "pickle": pickle_target,
    "picture": picture_target,
}
