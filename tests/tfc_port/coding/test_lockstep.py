"""Decoding all streams a symbol at a time is decoding each for itself, damaged ones included."""

from __future__ import annotations

import numpy as np
import pytest

from tfc_port import coding
from tfc_port.coding import lockstep


@pytest.mark.parametrize(("count", "streams"), [(900, 90), (899, 100), (30, 64), (3000, 48)])
@pytest.mark.parametrize("kind", ["gaussians", "oddities"])
def test_every_payload_is_decoded_or_refused_as_stream_by_stream(
    count, streams, kind, request, draw_values, monkeypatch
):
    tables = request.getfixturevalue(kind)
    rng = np.random.default_rng([count, streams])
    values, indexes = draw_values(rng, tables, count)
    payload = coding.encode(values, indexes, tables, streams=streams, implementation="python")
    calls = []
    whole = lockstep.decode_streams
    monkeypatch.setattr(lockstep, "decode_streams", lambda *a: calls.append(1) or whole(*a))

    def decoded(data: bytes, least: int):
        monkeypatch.setattr(lockstep, "FROM", least)
        try:
            return coding.decode(
                data, indexes, tables, streams=streams, implementation="python"
            ).tolist()
        except coding.CodingError as error:
            return str(error)

    assert decoded(payload, 1) == values.tolist()
    refused = 0
    for _ in range(150):
        damaged = bytearray(payload)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        damaged = bytes(damaged[: rng.integers(len(damaged))] if rng.random() < 0.2 else damaged)
        ours = decoded(damaged, 1)
        assert ours == decoded(damaged, 1 << 20)
        refused += isinstance(ours, str)
    assert refused > 100
    assert len(calls) > 20
