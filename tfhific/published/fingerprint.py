"""What a file names its model by."""

from __future__ import annotations

import hashlib
import json

from tfhific.published.network import Network


class Fingerprint:
    """8 bytes of SHA-256 over named values, in the order in which they are added."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, name: str, value: bytes) -> None:
        """Adds a value. Lengths are part of it, so that no two lists of values are one string."""
        for part in (name.encode(), value):
            self._digest.update(len(part).to_bytes(8, "little"))
            self._digest.update(part)

    def add_network(self, name: str, network: Network) -> None:
        """Adds a network's layers and its weights as float32."""
        self.add(name, json.dumps(network.layers, sort_keys=True).encode())
        for key in sorted(network.weights):
            value = network.weights[key]
            shape = json.dumps(list(value.shape)).encode()
            self.add(key, shape + value.astype("<f4").tobytes())

    def value(self) -> bytes:
        """The fingerprint, 8 bytes."""
        return self._digest.digest()[:8]
