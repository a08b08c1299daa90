"""Published models that see a whole picture at once: `gc`, `sc`, `inversion`, `cgan`.

The same file as `tfhific.published.hyperprior` writes, with other contents: networks, tables by
name, and a JSON object of what a decoder has to know (`decoding`). Nothing executable.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os

import numpy as np

from tfc_port.coding import CodingError, Tables
from tfhific.errors import ModelError
from tfhific.published.fingerprint import Fingerprint
from tfhific.published.hyperprior import FILE_NAME, MALFORMED, _digest, read_description
from tfhific.published.network import Network
from tfhific.published.tensor_file import TensorFile, parts

_FORMAT = 2


@dataclasses.dataclass(frozen=True)
class WholeModel:
    """A published model.

    Attributes:
      name: such as `street-gc`.
      system: `gc`, `sc`, `inversion` or `cgan`.
      networks: folded networks by name.
      tables: CDF tables by name.
      decoding: what a decoder has to know, JSON values.
      defining: names of the networks that give a code its meaning: with other ones, a file's
        picture would be another. They are part of the fingerprint.
      training: how the model came about, JSON values.
    """

    name: str
    system: str
    networks: dict[str, Network]
    tables: dict[str, Tables]
    decoding: dict
    defining: tuple[str, ...]
    training: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in self.defining if name not in self.networks]
        if missing:
            raise ModelError(f"The model {self.name!r} lacks its networks {', '.join(missing)}.")

    @property
    def single_rate(self) -> bool:
        """True: a quality has no say."""
        return True

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """8 bytes of SHA-256 over tables, `decoding` and the networks that give a code meaning."""
        found = Fingerprint()
        found.add("system", self.system.encode())
        found.add("decoding", json.dumps(self.decoding, sort_keys=True).encode())
        for name in sorted(self.tables):
            found.add(f"table {name}", self.tables[name].fingerprint_bytes())
        for name in sorted(self.defining):
            found.add_network(name, self.networks[name])
        return found.value()


def halved(network: Network) -> Network:
    """The network with its weights rounded to half precision: the model from then on.

    Raises:
      ModelError: when a weight is not finite, or beyond half precision.
    """
    weights = {k: v.astype(np.float16).astype(np.float32) for k, v in network.weights.items()}
    for key, value in weights.items():
        if not np.all(np.isfinite(value)):
            raise ModelError(f"The trained weights {key!r} are not all finite: nothing to publish.")
    return Network(network.layers, weights)


def save_whole_model(model: WholeModel, folder: str | os.PathLike) -> str:
    """Writes `model.safetensors`, whole or not at all; returns its path."""
    from tfhific.files.atomic import write_atomically

    arrays: dict[str, np.ndarray] = {}
    for network in model.networks.values():
        for key, value in network.weights.items():
            half = value.astype(np.float16)
            exact = np.array_equal(half.astype(np.float32), value)
            arrays[key] = np.ascontiguousarray(half if exact else value)
    for name, tables in model.tables.items():
        arrays[f"tables/{name}/lookup"] = tables.lookup
        arrays[f"tables/{name}/minimum"] = tables.minimum
    description = {
        "format": _FORMAT,
        "name": model.name,
        "system": model.system,
        "fingerprint": model.fingerprint.hex(),
        "networks": {name: network.layers for name, network in model.networks.items()},
        "tables": sorted(model.tables),
        "decoding": model.decoding,
        "defining": list(model.defining),
        "training": model.training,
    }
    description["sha256"] = _digest(description, arrays)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, FILE_NAME)
    data = parts(arrays, {"tfhific": json.dumps(description, sort_keys=True)})
    write_atomically(path, data, overwrite=True)
    return path


def load_whole_model(folder: str | os.PathLike) -> WholeModel:
    """Reads a published model.

    Raises:
      ModelError: when the folder holds no such model, or a damaged one.
    """
    from safetensors import SafetensorError

    description = read_description(folder)
    path = os.path.join(folder, FILE_NAME)
    try:
        file = TensorFile(path)
        arrays = file.arrays
        if _digest(description, arrays, file) != description["sha256"]:
            raise ModelError(f"{path!r} is damaged: its checksum does not fit its contents.")
        floats = {
            k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in arrays.items()
        }
        model = WholeModel(
            name=str(description["name"]),
            system=str(description["system"]),
            networks={
                name: Network(layers, {k: v for k, v in floats.items() if k.startswith(name + "/")})
                for name, layers in description["networks"].items()
            },
            tables={
                name: Tables(arrays[f"tables/{name}/lookup"], arrays[f"tables/{name}/minimum"])
                for name in description["tables"]
            },
            decoding=dict(description["decoding"]),
            defining=tuple(description["defining"]),
            training=dict(description.get("training") or {}),
        )
    except ModelError as error:
        said = str(error)
        raise ModelError(said if repr(path) in said else f"{path!r}: {said}") from None
    except MALFORMED as error:
        raise ModelError(f"{path!r} is not a complete model ({error!r}).") from None
    except (OSError, SafetensorError, CodingError) as error:
        raise ModelError(f"{path!r} is damaged ({error}).") from None
    if model.fingerprint.hex() != description.get("fingerprint"):
        raise ModelError(f"{path!r} is damaged: its fingerprint does not fit its contents.")
    return model
