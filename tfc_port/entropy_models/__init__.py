"""Entropy models: rate estimation in training, coding afterwards."""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfc_port.entropy_models.continuous_batched import ContinuousBatchedEntropyModel
    from tfc_port.entropy_models.continuous_indexed import ContinuousIndexedEntropyModel
    from tfc_port.entropy_models.laplace import LaplaceEntropyModel
    from tfc_port.entropy_models.location_scale import LocationScaleIndexedEntropyModel
    from tfc_port.entropy_models.power_law import PowerLawEntropyModel
    from tfc_port.entropy_models.universal_batched import UniversalBatchedEntropyModel
    from tfc_port.entropy_models.universal_indexed import UniversalIndexedEntropyModel
else:
    __getattr__, __dir__ = lazy_attributes(__name__, _names.ENTROPY_MODELS, _names.LEFT_OUT)

__all__ = [
    "ContinuousBatchedEntropyModel",
    "ContinuousIndexedEntropyModel",
    "LaplaceEntropyModel",
    "LocationScaleIndexedEntropyModel",
    "PowerLawEntropyModel",
    "UniversalBatchedEntropyModel",
    "UniversalIndexedEntropyModel",
]
