"""Published models as files: one of arrays and a JSON description, nothing executable.

`model.safetensors` holds the arrays; its metadata entry `tfhific` is a JSON object, the
description. Of every model it has:

| entry | holds |
| --- | --- |
| `format` | one of `MODEL_FORMATS` |
| `name`, `system` | such as `mini-v1` and `mini` |
| `fingerprint` | hex; what a file names its model by |
| `sha256` | of the description without this entry, and of every array |
| `networks` | the layers of each network, as `tfhific.published.network` lists them |
| `training` | how the model came about |

The kinds of models (`kind_of`) say what else there is. float32 arrays that half precision holds
exactly are stored so.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfc_port.coding import CodingError
from tfhific.errors import ModelError
from tfhific.published.code import CodeModel
from tfhific.published.decoder import DecoderModel, codec_folder
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.published.model import PublishedModel
from tfhific.published.places import FILE_NAME
from tfhific.published.tensor_file import TensorFile, parts

MODEL_FORMATS = (1, 2, 3, 4, 5)
MALFORMED = (
    *(LookupError, TypeError, ValueError, AttributeError, OverflowError),
    *(RecursionError, MemoryError),
)
"""What reading a description may come to that is not what it should be."""


def kind_of(description: Mapping[str, Any]) -> type[PublishedModel]:
    """The class of the model that a description is of: `decoding` has a code's alone, and
    `decoder_of` a decoder's without the rest of its codec."""
    if "decoder_of" in description:
        return DecoderModel
    return CodeModel if "decoding" in description else HyperpriorModel


def save_model(model: PublishedModel, folder: str | os.PathLike) -> str:
    """Writes `model.safetensors`, whole or not at all, and makes the folder where there is none.

    Returns:
      The path written.

    Raises:
      OutputError: where it can't be written.
    """
    from tfhific.files.atomic import write_atomically

    arrays: dict[str, np.ndarray] = {}
    for network in model.networks.values():
        arrays.update(network.weights)
    arrays.update(model.arrays())
    arrays = {name: _halved_where_exact(value) for name, value in arrays.items()}
    description = {
        **model.facts(),
        "name": model.name,
        "system": model.system,
        "fingerprint": model.fingerprint.hex(),
        "networks": {name: network.layers for name, network in model.networks.items()},
        "training": model.training,
    }
    description["sha256"] = digest(description, arrays)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, FILE_NAME)
    data = parts(arrays, {"tfhific": json.dumps(description, sort_keys=True)})
    write_atomically(path, data, overwrite=True)
    return path


def _halved_where_exact(value: np.ndarray) -> np.ndarray:
    if value.dtype == np.float32:
        half = value.astype(np.float16)
        if np.array_equal(half.astype(np.float32), value):
            value = half
    return np.ascontiguousarray(value)


def digest(
    description: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    file: TensorFile | None = None,
) -> str:
    """SHA-256 of all that a model's file holds; the fingerprint leaves out what only encodes.

    Args:
      description: of the model.
      arrays: by name.
      file: where the arrays come from; then they are read rather than touched, which would bring
        a mapped file into this process's memory.
    """
    rest = {key: value for key, value in description.items() if key != "sha256"}
    found = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(arrays):
        head = [name, str(arrays[name].dtype), list(arrays[name].shape)]
        found.update(json.dumps(head).encode())
        if file is None:
            found.update(np.ascontiguousarray(arrays[name]).data)
            continue
        for chunk in file.chunks(name):
            found.update(chunk)
    return found.hexdigest()


def read_description(folder: str | os.PathLike) -> dict[str, Any]:
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
            description = dict(json.loads((file.metadata() or {})["tfhific"]))
            version = description["format"]
    except RecursionError:
        raise ModelError(f"{path!r} is not a model of tfhific: it is nested too deeply.") from None
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path!r} is not a model of tfhific, or is damaged ({error}).") from None
    if version not in MODEL_FORMATS:
        raise ModelError(
            f"{path!r} has model format {version!r}; this tfhific reads "
            f"{', '.join(map(str, MODEL_FORMATS))}. "
            "Publish it again, or use the version that made it."
        )
    return description


def read_model(folder: str | os.PathLike) -> PublishedModel:
    """Reads what a folder's file holds, of the kind that its description says.

    Raises:
      ModelError: when the folder holds no model, or a damaged one.
    """
    from safetensors import SafetensorError

    description = read_description(folder)
    path = os.path.join(folder, FILE_NAME)
    try:
        file = TensorFile(path)
        arrays = file.arrays
        if digest(description, arrays, file) != description["sha256"]:
            raise ModelError(f"{path!r} is damaged: its checksum does not fit its contents.")
        model = kind_of(description).assembled(description, arrays)
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


def load_model(folder: str | os.PathLike) -> PublishedModel:
    """Reads a published model. Of a decoder alone it is the whole codec, by the decoder's name.

    Raises:
      ModelError: as `read_model`, and when the rest of a decoder's codec is not here, or not what
        the decoder was made for.
    """
    model = read_model(folder)
    if not isinstance(model, DecoderModel):
        return model
    try:
        return model.over(read_model(codec_folder(model.decoder_of, folder)))
    except ModelError as error:
        raise ModelError(f"{os.path.join(folder, FILE_NAME)!r}: {error}") from None


def model_files(folder: str | os.PathLike) -> list[str]:
    """The files that `load_model` makes a model of: a decoder's own, then its codec's.

    Raises:
      ModelError: as `read_description`, and when the rest of a decoder's codec is not here.
    """
    found = [os.path.join(folder, FILE_NAME)]
    description = read_description(folder)
    if kind_of(description) is DecoderModel:
        found.append(os.path.join(codec_folder(description["decoder_of"], folder), FILE_NAME))
    return found


def load_hyperprior(folder: str | os.PathLike) -> HyperpriorModel:
    """Reads a published model that must be of a hyperprior.

    Raises:
      ModelError: as `load_model`, and when it is of another kind.
    """
    model = load_model(folder)
    if not isinstance(model, HyperpriorModel):
        raise ModelError(
            f"{os.fspath(folder)!r}: expected a model with a hyperprior, such as mini. "
            f"Received: one of {model.system}."
        )
    return model
