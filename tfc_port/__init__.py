"""TFC's API without its kernels: learned data compression on core TensorFlow ops.

The names, arguments and results are those of tensorflow-compression 2.14, for TensorFlow 2.14 and
later: `import tfc_port as tfc`. Names are imported on first use; see docs/tfc_port.md.
"""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

_HOMES = {
    **_names.ALL,
    **dict.fromkeys(
        ("coding", "datasets", "distributions", "entropy_models", "layers", "ops", "v1"), ""
    ),
}

__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_attributes(__name__, _HOMES, _names.LEFT_OUT)
