"""What every published model is: folded networks by name, and what a file of it holds beside them.

Nothing executable. Three kinds implement it: `tfhific.published.hyperprior`,
`tfhific.published.decoder` for what one of those needs to be another decoder of the same files, and
`tfhific.published.code` for models whose file is one code of symbols.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfhific.published.network import Network


@dataclasses.dataclass(frozen=True)
class PublishedModel(abc.ABC):
    """A published model.

    Attributes:
      name: such as `mini-v1`.
      system: the published system it belongs to, such as `mini`.
      networks: folded networks by name; their arrays' names begin with it.
      training: how the model came about, JSON values.
    """

    name: str
    system: str
    networks: dict[str, Network]
    training: dict[str, Any]

    @property
    @abc.abstractmethod
    def single_rate(self) -> bool:
        """Whether there is one rate: no quality then has a say."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> bytes:
        """8 bytes that a file names its model by: of what gives the file's symbols a meaning."""

    @abc.abstractmethod
    def facts(self) -> dict[str, Any]:
        """Entries of the description beside those that every model has, JSON values.

        `format` is among them, one of `tfhific.published.store.MODEL_FORMATS`.
        """

    @abc.abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays that are stored behind the networks' own, by name, in the file's order."""

    @classmethod
    @abc.abstractmethod
    def assembled(
        cls, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> PublishedModel:
        """The model of a description, as strangers may have written it, and all stored arrays.

        Raises:
          ModelError: when its parts do not fit each other.
          Exception: one of `tfhific.published.store.MALFORMED`, for what is no description of such
            a model.
          CodingError: for tables that are none.
        """

    @classmethod
    @abc.abstractmethod
    def says_one_rate(cls, description: Mapping[str, Any]) -> bool:
        """`single_rate` of the model that a description is of, without its arrays."""
