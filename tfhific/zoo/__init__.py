"""The models that ship, and how a model is found by name, folder or fingerprint."""

from __future__ import annotations

import os
import warnings

from tfhific.errors import BitstreamError, ModelError, TfhificWarning
from tfhific.published.store import FILE_NAME, read_description

MODELS_VARIABLE = "TFHIFIC_MODELS"
"""Environment variable: folders of models, separated as in PATH."""

_ALIASES = {"mini": "mini-v2", "realistic": "mini-v2-realistic"}

CLONE_ALONE = {"mini-v1": "276ccdec315f8043", "mini-v2-realistic": ""}
"""Models of the repository that the wheel leaves out, so that it stays small, and the fingerprints
of those whose files nothing else reads."""


def _of_a_clone(name: str) -> str:
    return (
        f"{name} is in a clone of the repository, tfhific/zoo/{name}, and left out of the wheel: "
        f"put that folder into one that {MODELS_VARIABLE} names, or give it as the model."
    )


def _zoo_folder() -> str:
    return os.path.dirname(os.path.abspath(__file__))


def _search_folders() -> list[str]:
    """Folders that hold models, or are models themselves; the user's before the zoo."""
    own = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)
    return [folder for folder in own if folder] + [_zoo_folder()]


def _pass_over(what: str) -> None:
    warnings.warn(f"{what}; passed over.", TfhificWarning, stacklevel=3)


def model_folders() -> dict[str, str]:
    """Folders of all the models that can be found, by the folder's name.

    Those of a folder come in the order of their names: `mini-v2` before `mini-v2-realistic`.
    """
    found: dict[str, str] = {}
    for folder in _search_folders():
        if os.path.isfile(os.path.join(folder, FILE_NAME)):
            found.setdefault(os.path.basename(os.path.normpath(folder)), folder)
            continue
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            _pass_over(f"{folder!r} of {MODELS_VARIABLE} can't be searched ({error.strerror})")
            continue
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(os.path.join(path, FILE_NAME)):
                found.setdefault(name, path)
    return found


def find_by_name(name: str | os.PathLike) -> str:
    """The folder of a model, by its name, an alias such as `mini`, or the folder itself.

    Raises:
      ModelError: when there is none; the message lists the known names.
    """
    name = os.fspath(name)
    if os.path.isfile(os.path.join(name, FILE_NAME)):
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

    Raises:
      BitstreamError: when it is not among the models that can be found.
    """
    known = model_folders()
    names = []
    for name, folder in known.items():
        try:
            own = read_description(folder).get("fingerprint")
        except ModelError as error:
            _pass_over(str(error).rstrip("."))
            continue
        if own == fingerprint.hex():
            return folder
        names.append(f"{name} ({own})")
    for name, own in CLONE_ALONE.items():
        if own == fingerprint.hex():
            raise BitstreamError(f"The file was made by {name}. {_of_a_clone(name)}")
    raise BitstreamError(
        f"The file was made by the model {fingerprint.hex()}, which is not here. Known: "
        f"{', '.join(names) or 'none'}. Name its folder with `model`, or put it into a folder "
        f"that {MODELS_VARIABLE} names."
    )
