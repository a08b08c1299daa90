"""A decoder alone: another synthesis transform for the files of a codec that has a file of its own.

The synthesis transform is no part of a codec's fingerprint, so that several decoders can read one
file. One that differs in nothing else is stored without the rest. Entries of its description,
beside those of every model (see `tfhific.published.store`):

| entry | holds |
| --- | --- |
| `format` | 5 |
| `decoder_of` | the name of the codec's folder, a plain one: never a path |
| `fingerprint` | the codec's, and so the decoder's: that of the files that it decodes |
| `pixel_range` | as in `tfhific.published.hyperprior`, and the codec's too; default [-1/2, 1/2] |
| `config` | the system's configuration with this decoder; default null |
| `single_rate` | the codec's; default false |

The only network is `synthesis`, and there are no arrays but its own.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfhific.errors import ModelError
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.published.model import PublishedModel
from tfhific.published.network import Network
from tfhific.published.places import (
    MODELS_VARIABLE,
    holds_model,
    is_plain_name,
    model_folders,
)

FORMAT = 5
_NETWORK = "synthesis"
_HEX_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class DecoderModel(PublishedModel):
    """A synthesis transform, and which codec's files it is for; no codec by itself.

    Attributes:
      networks: `synthesis` alone.
      decoder_of: the name of the codec's folder.
      codec_fingerprint: of the codec, 8 bytes.
      pixel_range: what the network has for pixels of 0 and of 255.
      config: the system's configuration with this decoder, JSON values; None where not known.
      one_rate: whether the codec has one rate.
    """

    decoder_of: str
    codec_fingerprint: bytes
    pixel_range: tuple[float, float] = (-0.5, 0.5)
    config: dict | None = None
    one_rate: bool = False

    def __post_init__(self) -> None:
        _check_name(self.decoder_of)
        alone = sorted(self.networks) == [_NETWORK]
        if not alone or any(
            not key.startswith(f"{_NETWORK}/") for key in self.networks[_NETWORK].weights
        ):
            raise ModelError(
                f"The decoder {self.name!r} is inconsistent: expected the network {_NETWORK} and "
                "no other arrays."
            )

    @classmethod
    def of(cls, model: HyperpriorModel, codec: HyperpriorModel, folder_name: str) -> DecoderModel:
        """The decoder of a model that differs from a codec in its synthesis transform alone.

        Args:
          model: whole, with the decoder.
          codec: whose files it decodes.
          folder_name: of the codec's folder.

        Raises:
          ModelError: where they differ in more, or the name is no plain one.
        """
        other = _difference(model, codec)
        if other:
            raise ModelError(
                f"Expected a model that differs from {codec.name} in its synthesis transform "
                f"alone. Received: {model.name}, whose {other} differs too."
            )
        return cls(
            name=model.name,
            system=model.system,
            networks={_NETWORK: model.networks[_NETWORK]},
            training=model.training,
            decoder_of=folder_name,
            codec_fingerprint=codec.fingerprint,
            pixel_range=model.pixel_range,
            config=model.config,
            one_rate=model.single_rate,
        )

    def over(self, codec: PublishedModel) -> HyperpriorModel:
        """The whole codec with this decoder in place of its own, under this decoder's name.

        Raises:
          ModelError: when it is not the codec that the decoder is for, or they do not fit.
        """
        wanted = f"expected {self.decoder_of}, whose fingerprint is {self.fingerprint.hex()}"
        if isinstance(codec, DecoderModel):
            raise ModelError(
                f"{wanted}, with all its networks. Received: a decoder alone, of "
                f"{codec.decoder_of}'s files."
            )
        if not isinstance(codec, HyperpriorModel) or codec.system != self.system:
            raise ModelError(f"{wanted}, of {self.system}. Received: one of {codec.system}.")
        if codec.fingerprint != self.fingerprint:
            raise ModelError(
                f"{wanted}. Received: one of that name whose fingerprint is "
                f"{codec.fingerprint.hex()}. Put the expected one in its place."
            )
        if tuple(codec.pixel_range) != self.pixel_range:
            raise ModelError(
                f"{wanted}, with pixels in {list(self.pixel_range)}. Received: one with pixels in "
                f"{list(codec.pixel_range)}."
            )
        return dataclasses.replace(
            codec,
            name=self.name,
            networks={**codec.networks, **self.networks},
            training=self.training,
            config=self.config,
        )

    @property
    def single_rate(self) -> bool:
        """See `PublishedModel`."""
        return self.one_rate

    @property
    def fingerprint(self) -> bytes:
        """The codec's."""
        return self.codec_fingerprint

    def facts(self) -> dict[str, Any]:
        """See `PublishedModel`; the table above lists them."""
        facts = {
            "pixel_range": (list(self.pixel_range), [-0.5, 0.5]),
            "config": (self.config, None),
            "single_rate": (self.one_rate, False),
        }
        newer = {name: value for name, (value, default) in facts.items() if value != default}
        return {**newer, "format": FORMAT, "decoder_of": self.decoder_of}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `PublishedModel`: none beside the network's."""
        return {}

    @classmethod
    def assembled(
        cls, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> DecoderModel:
        """See `PublishedModel`."""
        if description["format"] != FORMAT:
            raise ModelError(
                f"Expected format {FORMAT} of a decoder alone. Received: {description['format']!r}."
            )
        fingerprint = str(description["fingerprint"])
        if len(fingerprint) != _HEX_DIGITS:
            raise ModelError(f"Expected {_HEX_DIGITS} hexadecimal digits as its fingerprint.")
        config = description.get("config")
        low, high = (float(v) for v in description.get("pixel_range", (-0.5, 0.5)))
        return cls(
            name=str(description["name"]),
            system=str(description["system"]),
            networks={
                name: Network(layers, dict(arrays))
                for name, layers in description["networks"].items()
            },
            training=dict(description.get("training") or {}),
            decoder_of=description["decoder_of"],
            codec_fingerprint=bytes.fromhex(fingerprint),
            pixel_range=(low, high),
            config=None if config is None else dict(config),
            one_rate=cls.says_one_rate(description),
        )

    @classmethod
    def says_one_rate(cls, description: Mapping[str, Any]) -> bool:
        """See `PublishedModel`."""
        return HyperpriorModel.says_one_rate(description)


def _check_name(name: object) -> None:
    if not is_plain_name(name):
        raise ModelError(
            "A decoder's `decoder_of`: expected the plain name of a model, of letters, digits, "
            f"'.', '_' and '-'. Received: {str(name)[:100]!r}."
        )


def codec_folder(name: str, folder: str | os.PathLike) -> str:
    """The folder of the codec that a decoder is for.

    Args:
      name: of the codec's folder, a plain one.
      folder: the decoder's own. What lies beside it comes first, then what lies where models are
        looked for by name.

    Raises:
      ModelError: when there is none, or the name is no plain one.
    """
    _check_name(name)
    beside = os.path.join(os.path.dirname(os.path.abspath(folder)), name)
    if holds_model(beside):
        return beside
    found = model_folders().get(name)
    if found is None:
        raise ModelError(
            f"This is a decoder alone, for the files of {name}, which is not here: expected that "
            f"model as {beside!r}, or in a folder that {MODELS_VARIABLE} names."
        )
    return found


def _difference(model: HyperpriorModel, codec: HyperpriorModel) -> str:
    """What differs but for the synthesis transform, and what is known of how it came about."""
    if model.system != codec.system:
        return "system"
    if sorted(model.networks) != sorted(codec.networks):
        return "list of networks"
    for name, network in codec.networks.items():
        other = model.networks[name]
        same = network.layers == other.layers and _alike(network.weights, other.weights)
        if name != _NETWORK and not same:
            return f"network {name}"
    ours, theirs = model.facts(), codec.facts()
    for key in sorted({*ours, *theirs} - {"config", "format"}):
        if ours.get(key) != theirs.get(key):
            return f"`{key}`"
    return "" if _alike(model.arrays(), codec.arrays()) else "tables, branch, gains or extras"


def _alike(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> bool:
    return ours.keys() == theirs.keys() and all(
        np.array_equal(value, theirs[key]) for key, value in ours.items()
    )
