"""What it costs in bits that scales come from integers."""

from __future__ import annotations

import numpy as np

from tfc_port.coding import Tables
from tfhific.bitstream import container
from tfhific.codec.transforms import Transforms
from tfhific.published.hyperprior import HyperpriorModel

ESCAPE_BITS = 21.0


def code_length(tables: Tables, values: np.ndarray, rows: np.ndarray) -> float:
    """Bits of values by rows of tables; an escape counts as `ESCAPE_BITS`.

    Args:
      tables: CDF tables.
      values: int32 [n].
      rows: int32 [n].
    """
    bits = 0.0
    for row in np.unique(rows):
        share = np.diff(tables.cdf(int(row)).astype(np.float64))
        share /= share.sum()
        place = values[rows == row].astype(np.int64) - int(tables.minimum[row])
        inside = (place >= 0) & (place < len(share))
        bits -= np.log2(share[place[inside]]).sum()
        bits += ESCAPE_BITS * np.count_nonzero(~inside)
    return float(bits)


def branch_cost(model: HyperpriorModel, image: np.ndarray, quality: float) -> tuple[float, float]:
    """Bits of a picture's latents y, coded by the rows of the integer branch and of the float one.

    Args:
      model: published.
      image: uint8 [H, W, 3].
      quality: 1 to 8.

    Returns:
      Bits by the integer branch, and by the float network's scale index rounded to a row.
    """
    transforms = Transforms(model)
    y = transforms.analyse(image, container.quality_code(quality))
    z = transforms.hyper_analyse(y)
    everything, width = slice(0, y.shape[0]), y.shape[1]
    indexes = transforms.indexes(z, everything, width)
    floats = transforms.scale_indexes(z, everything, width)
    rows = np.rint(np.clip(floats, 0, model.y_tables.rows - 1)).astype(np.int32)
    symbols = transforms.quantise(y, z, everything, indexes=indexes).ravel()
    return (
        code_length(model.y_tables, symbols, indexes.ravel()),
        code_length(model.y_tables, symbols, rows.ravel()),
    )
