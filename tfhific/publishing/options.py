"""What a user asks of publishing, and what a system offers that answers it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from tfhific.errors import ModelError
from tfhific.published.model import PublishedModel


def _nobody(message: str) -> None:
    """Tells nobody."""


@dataclasses.dataclass(frozen=True)
class PublishOptions:
    """How a trained model is published; empty where nothing was asked for.

    Attributes:
      data: folder or glob of pictures that tables are fitted to.
      images: how many of them, spread evenly, where not all are taken.
      stretch: see `tfhific.publishing.hyperprior.publish`.
      prior: see `tfhific.publishing.centres.publish_extreme`.
      dead_zone: see `tfhific.publishing.dead_zone.dead_zone`; 0 for none.
      stream_of: folder of a model whose files the published one is to decode too.
      say: told what the user should know.
    """

    data: str = ""
    images: int = 48
    stretch: float = 1.0
    prior: str = "static"
    dead_zone: float = 0.0
    stream_of: str = ""
    say: Callable[[str], None] = _nobody

    def refuse_others(self, system: str, *taken: str) -> None:
        """Refuses what was asked for and a system has no use for.

        Args:
          system: its name.
          *taken: which of `stretch`, `prior`, `dead_zone` and `stream_of` it takes.

        Raises:
          ModelError: naming the first.
        """
        plain = PublishOptions()
        for name in ("stretch", "prior", "dead_zone", "stream_of"):
            if name not in taken and getattr(self, name) != getattr(plain, name):
                raise ModelError(f"`{name}`: not for {system}. Leave it out.")


class Publisher(Protocol):
    """Makes a published model of a trained one; each system names its own in `tfhific.systems`."""

    def __call__(
        self, model: Any, name: str, training: dict[str, Any], options: PublishOptions
    ) -> PublishedModel:
        """Publishes.

        Args:
          model: the trained Keras model, its weights restored.
          name: of the published model.
          training: how it came about, JSON values; `system` is among them.
          options: what the user asks for.

        Raises:
          ModelError: when a weight is not finite, the networks have no published form, or an
            option is not for the system.
          TfhificError: for data that can't be read.
        """
        ...
