"""Data sets of video frames."""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfc_port.datasets.y4m_dataset import Y4MDataset
else:
    __getattr__, __dir__ = lazy_attributes(__name__, _names.DATASETS)

__all__ = [
    "Y4MDataset",
]
