"""A published model whose file is one code of symbols: of `gc`, `sc`, `inversion` and `cgan`.

What its file holds (see `tfhific.published.store`) beside networks and their arrays: CDF tables by
name as arrays `tables/<name>/lookup` and `minimum`; in the description `tables`, their names,
`decoding`, a JSON object of what a decoder has to know, and `defining`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfc_port.coding import Tables
from tfhific.errors import ModelError
from tfhific.published.fingerprint import Fingerprint
from tfhific.published.model import PublishedModel
from tfhific.published.network import Network

_FORMAT = 2


@dataclasses.dataclass(frozen=True)
class CodeModel(PublishedModel):
    """A published model of one rate, with tables for the symbols of its code.

    Attributes:
      tables: CDF tables by name.
      decoding: what a decoder has to know, JSON values.
      defining: names of the networks that give a code its meaning: with other ones, a file's
        picture would be another. They are part of the fingerprint.
    """

    tables: dict[str, Tables]
    decoding: dict[str, Any]
    defining: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = [name for name in self.defining if name not in self.networks]
        if missing:
            raise ModelError(f"The model {self.name!r} lacks its networks {', '.join(missing)}.")

    @property
    def single_rate(self) -> bool:
        """True: training chose the rate."""
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

    def facts(self) -> dict[str, Any]:
        """See `PublishedModel`."""
        return {
            "format": _FORMAT,
            "tables": sorted(self.tables),
            "decoding": self.decoding,
            "defining": list(self.defining),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """See `PublishedModel`."""
        found = {}
        for name, tables in self.tables.items():
            found[f"tables/{name}/lookup"] = tables.lookup
            found[f"tables/{name}/minimum"] = tables.minimum
        return found

    @classmethod
    def assembled(
        cls, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> CodeModel:
        """See `PublishedModel`."""
        floats = {
            k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in arrays.items()
        }
        return cls(
            name=str(description["name"]),
            system=str(description["system"]),
            networks={
                name: Network(layers, {k: v for k, v in floats.items() if k.startswith(name + "/")})
                for name, layers in description["networks"].items()
            },
            training=dict(description.get("training") or {}),
            tables={
                name: Tables(arrays[f"tables/{name}/lookup"], arrays[f"tables/{name}/minimum"])
                for name in description["tables"]
            },
            decoding=dict(description["decoding"]),
            defining=tuple(description["defining"]),
        )

    @classmethod
    def says_one_rate(cls, description: Mapping[str, Any]) -> bool:
        """See `PublishedModel`; true."""
        return True
