"""A model as it is published: one file of arrays and a JSON description, nothing executable.

`model.safetensors` holds the arrays; its metadata entry `tfhific` is a JSON object with the
networks' layers, the integer branch, the configuration and how the model was trained.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os

import numpy as np

from tfc_port.coding import CodingError, Tables
from tfhific.codec.factorized import FactorizedDensity
from tfhific.codec.integer_branch import IntegerBranch, IntegerLayer
from tfhific.codec.network import Network
from tfhific.errors import ModelError

FILE_NAME = "model.safetensors"
MODEL_FORMAT = 1
NETWORKS = (
    "analysis",
    "synthesis",
    "hyper_analysis",
    "hyper_synthesis_mean",
    "hyper_synthesis_scale",
)
# What a decoder needs to get the latents back; the synthesis transform is not part of it, so that
# several decoders can read one stream, and neither is what only an encoder uses.
_DECODING_NETWORKS = ("hyper_synthesis_mean",)


@dataclasses.dataclass(frozen=True)
class Model:
    """A published model.

    Attributes:
      name: such as `mini-v1`.
      system: the published system it belongs to, such as `mini`.
      networks: folded networks by the names in `NETWORKS`.
      branch: scale indexes from hyperlatents, in exact arithmetic.
      scale_gain: the float scale index is `scale_gain * network + scale_centre`.
      scale_centre: see `scale_gain`.
      scales: float64 [rows of y_tables], standard deviations.
      floor_row: the row of the smallest scale that the float model knows; rows below it are for
        the integer branch alone.
      density: of the hyperlatents.
      y_tables: a CDF table for each scale.
      z_tables: a CDF table for each hyperlatent channel.
      log_gain: float32 [qualities, latent channels].
      log_inverse_gain: the decoder's.
      training: how the model came about, JSON values.
    """

    name: str
    system: str
    networks: dict[str, Network]
    branch: IntegerBranch
    scale_gain: float
    scale_centre: float
    scales: np.ndarray
    density: FactorizedDensity
    y_tables: Tables
    z_tables: Tables
    log_gain: np.ndarray
    log_inverse_gain: np.ndarray
    training: dict = dataclasses.field(default_factory=dict)
    floor_row: int = 0

    def __post_init__(self) -> None:
        channels = self.log_gain.shape[-1]
        checks = {
            "networks": sorted(self.networks) == sorted(NETWORKS),
            "gains": self.log_gain.ndim == 2
            and self.log_gain.shape == self.log_inverse_gain.shape
            and len(self.log_gain) > 1,
            "scales": self.scales.shape == (self.y_tables.rows,) and np.all(self.scales > 0),
            "rows of scales": 0 <= self.floor_row < self.y_tables.rows,
            "branch": self.branch.num_scales == self.y_tables.rows
            and len(self.branch.layers) > 0
            and self.branch.layers[-1].bias.shape == (channels,),
            "hyperlatent tables": self.density.channels == self.z_tables.rows,
        }
        for what, fits in checks.items():
            if not fits:
                raise ModelError(f"The model {self.name!r} is inconsistent: its {what} do not fit.")

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """8 bytes of SHA-256 over everything that a decoder needs to get the latents back."""
        digest = hashlib.sha256()

        def add(name: str, value: bytes) -> None:
            for part in (name.encode(), value):
                digest.update(len(part).to_bytes(8, "little"))
                digest.update(part)

        add("y tables", self.y_tables.fingerprint_bytes())
        add("z tables", self.z_tables.fingerprint_bytes())
        for number, layer in enumerate(self.branch.layers):
            head = [layer.op, layer.stride, layer.shift, list(layer.kernel.shape)]
            add(f"branch {number}", json.dumps(head).encode())
            add("kernel", layer.kernel.astype("<i2").tobytes())
            add("bias", layer.bias.astype("<i8").tobytes())
        for name in _DECODING_NETWORKS:
            network = self.networks[name]
            add(name, json.dumps(network.layers, sort_keys=True).encode())
            for key in sorted(network.weights):
                value = network.weights[key]
                add(key, json.dumps(list(value.shape)).encode() + value.astype("<f4").tobytes())
        add("inverse gains", self.log_inverse_gain.astype("<f4").tobytes())
        return digest.digest()[:8]


def save_model(model: Model, folder: str | os.PathLike) -> str:
    """Writes `model.safetensors`, whole or not at all, float arrays as float16 where exact.

    Returns:
      The path written.
    """
    from safetensors.numpy import save

    from tfhific.codec.atomic import write_atomically

    arrays: dict[str, np.ndarray] = {}

    def put(name: str, value: np.ndarray) -> None:
        half = value.astype(np.float16) if value.dtype == np.float32 else value
        exact = value.dtype == np.float32 and np.array_equal(half.astype(np.float32), value)
        arrays[name] = np.ascontiguousarray(half if exact else value)

    for network in model.networks.values():
        for key, value in network.weights.items():
            put(key, value)
    for number, layer in enumerate(model.branch.layers):
        put(f"branch/{number}/kernel", layer.kernel)
        put(f"branch/{number}/bias", layer.bias)
    for name in ("matrices", "biases", "factors"):
        for number, value in enumerate(getattr(model.density, name)):
            put(f"density/{name}/{number}", value)
    for name in ("y_tables", "z_tables"):
        put(f"{name}/lookup", getattr(model, name).lookup)
        put(f"{name}/minimum", getattr(model, name).minimum)
    for name in ("log_gain", "log_inverse_gain", "scales"):
        put(name, getattr(model, name))
    description = {
        "format": MODEL_FORMAT,
        "name": model.name,
        "system": model.system,
        "fingerprint": model.fingerprint.hex(),
        "networks": {name: network.layers for name, network in model.networks.items()},
        "branch": [
            {"op": layer.op, "stride": layer.stride, "shift": layer.shift}
            for layer in model.branch.layers
        ],
        "scale_gain": model.scale_gain,
        "scale_centre": model.scale_centre,
        "floor_row": model.floor_row,
        "density_layers": len(model.density.matrices),
        "training": model.training,
    }
    description["sha256"] = _digest(description, arrays)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, FILE_NAME)
    data = save(arrays, {"tfhific": json.dumps(description, sort_keys=True)})
    write_atomically(path, data, overwrite=True)
    return path


def _digest(description: dict, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of all that a model's file holds; the fingerprint leaves out what only encodes."""
    rest = {key: value for key, value in description.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(arrays):
        head = [name, str(arrays[name].dtype), list(arrays[name].shape)]
        digest.update(json.dumps(head).encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def read_description(folder: str | os.PathLike) -> dict:
    """The JSON description of a model, without its arrays.

    Raises:
      ModelError: when the folder holds no model, or a damaged one.
    """
    from safetensors import SafetensorError, safe_open

    path = os.path.join(folder, FILE_NAME)
    if not os.path.isfile(path):
        raise ModelError(f"{os.fspath(folder)!r} holds no model: expected the file {path!r}.")
    try:
        with safe_open(path, "numpy") as file:
            description = json.loads((file.metadata() or {})["tfhific"])
            version = description["format"]
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path!r} is not a model of tfhific, or is damaged ({error}).") from None
    if version != MODEL_FORMAT:
        raise ModelError(
            f"{path!r} has model format {version!r}; this tfhific reads {MODEL_FORMAT}. "
            "Publish it again, or use the version that made it."
        )
    return description


def load_model(folder: str | os.PathLike) -> Model:
    """Reads a published model.

    Raises:
      ModelError: when the folder holds no model, or a damaged one.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    description = read_description(folder)
    path = os.path.join(folder, FILE_NAME)
    try:
        arrays = load_file(path)
        if _digest(description, arrays) != description["sha256"]:
            raise ModelError(f"{path!r} is damaged: its checksum does not fit its contents.")
        model = _assemble(description, arrays)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(f"{path!r} is not a complete model ({error!r}).") from None
    except (OSError, SafetensorError, CodingError) as error:
        raise ModelError(f"{path!r} is damaged ({error}).") from None
    if model.fingerprint.hex() != description.get("fingerprint"):
        raise ModelError(f"{path!r} is damaged: its fingerprint does not fit its contents.")
    return model


def _assemble(description: dict, arrays: dict[str, np.ndarray]) -> Model:
    halves = {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in arrays.items()
    }
    networks = {}
    for name, layers in description["networks"].items():
        own = {key: value for key, value in halves.items() if key.startswith(name + "/")}
        networks[name] = Network(layers, own)
    layers = tuple(
        IntegerLayer(
            entry["op"],
            entry["stride"],
            entry["shift"],
            arrays[f"branch/{number}/kernel"],
            arrays[f"branch/{number}/bias"],
        )
        for number, entry in enumerate(description["branch"])
    )
    count = int(description["density_layers"])
    tables = {
        name: Tables(arrays[f"{name}/lookup"], arrays[f"{name}/minimum"])
        for name in ("y_tables", "z_tables")
    }
    return Model(
        name=str(description["name"]),
        system=str(description["system"]),
        networks=networks,
        branch=IntegerBranch(layers, tables["y_tables"].rows),
        scale_gain=float(description["scale_gain"]),
        scale_centre=float(description["scale_centre"]),
        floor_row=int(description.get("floor_row", 0)),
        scales=halves["scales"].astype(np.float64),
        density=FactorizedDensity(
            tuple(halves[f"density/matrices/{i}"] for i in range(count)),
            tuple(halves[f"density/biases/{i}"] for i in range(count)),
            tuple(halves[f"density/factors/{i}"] for i in range(count - 1)),
        ),
        log_gain=halves["log_gain"],
        log_inverse_gain=halves["log_inverse_gain"],
        training=dict(description.get("training") or {}),
        **tables,
    )
