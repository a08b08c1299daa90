"""A program as users write it, for mypy: what it asserts is what type checkers see of the port.

Each `type: ignore` is a mistake that they must find; mypy refuses one that hides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import tfc_port as tfc
from tfc_port import coding
from tfc_port.layers import GDN, SignalConv2D

if TYPE_CHECKING:
    from typing_extensions import assert_type


def sound_uses() -> None:
    """Types of results, through the packages' faces."""
    layer = SignalConv2D(192, (5, 5), strides_down=2, padding="same_zeros", activation=GDN())
    assert_type(layer.filters, int)
    assert_type(layer.kernel_support, tuple[int, ...])
    assert_type(layer.corr, bool)
    assert_type(tfc.GDN(inverse=True).inverse, bool)
    assert_type(tfc.same_padding_for_kernel((5, 5), corr=True), list[tuple[int, int]])
    model = tfc.LocationScaleIndexedEntropyModel(
        tfc.NoisyNormal, num_scales=64, scale_fn=lambda index: index, coding_rank=3
    )
    assert_type(model.coding_rank, int)
    assert_type(model.index_ranges, tuple[int, ...])
    tables = coding.Tables.from_pmfs([np.ones(4)], np.zeros(1, np.int32))
    values = np.zeros(1, np.int32)
    assert_type(coding.encode(values, values, tables, streams=1), bytes)
    assert_type(tfc.v1.EntropyBottleneck().filters, tuple[int, ...])


def mistakes() -> None:
    """What a checker refuses."""
    tfc.GDNN()  # type: ignore[attr-defined]
    tfc.round_st([0.5], offsets=[0.5])  # type: ignore[call-arg]
    tfc.create_range_encoder([1])  # type: ignore[call-arg]
    SignalConv2D(192, (5, 5), padding=0)  # type: ignore[arg-type]
    tfc.PowerLawEntropyModel(coding_rank="1")  # type: ignore[arg-type]
    coding.encode(np.zeros(1), np.zeros(1), None, streams=1)  # type: ignore[arg-type]
