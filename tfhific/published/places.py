"""Where published models lie: folders that the user names, and the one of those that ship."""

from __future__ import annotations

import os
import re
import warnings

from tfhific.errors import TfhificWarning

FILE_NAME = "model.safetensors"
"""The file that makes a folder a model's."""

MODELS_VARIABLE = "TFHIFIC_MODELS"
"""Environment variable: folders of models, separated as in PATH."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def is_plain_name(name: object) -> bool:
    """Whether something may name a model: letters, digits, `.`, `_` and `-`, never a path."""
    return isinstance(name, str) and _PLAIN_NAME.fullmatch(name) is not None


def holds_model(folder: str) -> bool:
    """Whether a folder has a model's file."""
    return os.path.isfile(os.path.join(folder, FILE_NAME))


def zoo_folder() -> str:
    """The folder of the models that ship."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "zoo")


def _search_folders() -> list[str]:
    """Folders that hold models, or are models themselves; the user's before the zoo."""
    own = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)
    return [folder for folder in own if folder] + [zoo_folder()]


def model_folders() -> dict[str, str]:
    """Folders of all the models that can be found, by the folder's name.

    Those of a folder come in the order of their names: `mini-v3` before `mini-v3-realistic`. A
    folder that can't be searched is passed over with a `TfhificWarning`.
    """
    found: dict[str, str] = {}
    for folder in _search_folders():
        if holds_model(folder):
            found.setdefault(os.path.basename(os.path.normpath(folder)), folder)
            continue
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            what = f"{folder!r} of {MODELS_VARIABLE} can't be searched ({error.strerror})"
            warnings.warn(f"{what}; passed over.", TfhificWarning, stacklevel=2)
            continue
        for name in names:
            path = os.path.join(folder, name)
            if holds_model(path):
                found.setdefault(name, path)
    return found
