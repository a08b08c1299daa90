"""The models that ship, and how a model is found by name, folder or fingerprint."""

from __future__ import annotations

import os
import warnings

from tfhific.errors import BitstreamError, ModelError, TfhificWarning
from tfhific.published.decoder import DecoderModel
from tfhific.published.places import FILE_NAME, MODELS_VARIABLE, holds_model, model_folders
from tfhific.published.store import kind_of, read_description

__all__ = [
    "CLONE_ALONE",
    "MODELS_VARIABLE",
    "find_by_fingerprint",
    "find_by_name",
    "model_folders",
]

_ALIASES = {"mini": "mini-v3", "realistic": "mini-v3-realistic"}

CLONE_ALONE = {
    "mini-v1": "276ccdec315f8043",
    "mini-v2": "535366e0bd0e42a0",
    "mini-v2-realistic": "",
    "mini-v3-realistic": "",
}
"""Models of the repository that the wheel leaves out, so that it stays small, and the fingerprints
of those whose files nothing else reads."""


def _of_a_clone(name: str) -> str:
    return (
        f"{name} is in a clone of the repository, tfhific/zoo/{name}, and left out of the wheel: "
        f"put that folder into one that {MODELS_VARIABLE} names, or give it as the model."
    )


def _pass_over(what: str) -> None:
    warnings.warn(f"{what}; passed over.", TfhificWarning, stacklevel=3)


def find_by_name(name: str | os.PathLike) -> str:
    """The folder of a model, by its name, an alias such as `mini`, or the folder itself.

    Raises:
      ModelError: when there is none; the message lists the known names.
    """
    name = os.fspath(name)
    if holds_model(name):
        return name
    known = model_folders()
    folder = known.get(name) or known.get(_ALIASES.get(name, ""))
    if folder is None and _ALIASES.get(name, name) in CLONE_ALONE:
        raise ModelError(_of_a_clone(_ALIASES.get(name, name)))
    if folder is None:
        names = sorted(set(known) | {alias for alias, to in _ALIASES.items() if to in known})
        raise ModelError(
            f"No model {name!r}: expected one of {', '.join(names) or '(none found)'}, or a "
            f"folder with the file {FILE_NAME}. {MODELS_VARIABLE} can name more folders."
        )
    return folder


def find_by_fingerprint(fingerprint: bytes) -> str:
    """The folder of the model that made a file: the first of those that read its streams.

    A whole model comes before a decoder alone, which is another's of the same streams.

    Raises:
      BitstreamError: when it is not among the models that can be found.
    """
    known = model_folders()
    names, decoders = [], []
    for name, folder in known.items():
        try:
            description = read_description(folder)
        except ModelError as error:
            _pass_over(str(error).rstrip("."))
            continue
        own = description.get("fingerprint")
        if own == fingerprint.hex():
            if kind_of(description) is not DecoderModel:
                return folder
            decoders.append(folder)
        names.append(f"{name} ({own})")
    if decoders:
        return decoders[0]
    for name, own in CLONE_ALONE.items():
        if own == fingerprint.hex():
            raise BitstreamError(f"The file was made by {name}. {_of_a_clone(name)}")
    raise BitstreamError(
        f"The file was made by the model {fingerprint.hex()}, which is not here. Known: "
        f"{', '.join(names) or 'none'}. Name its folder with `model`, or put it into a folder "
        f"that {MODELS_VARIABLE} names."
    )
