"""The API of TFC 1.3, for programs of the TensorFlow-1 era: `import tfc_port.v1 as tfc`.

It works in graphs and sessions of `tf.compat.v1`, in Estimators where TensorFlow has them, and in
Keras 2 layers and models, eagerly too. Names that TFC 1.3 shares with 2.14 are those of `tfc_port`.
"""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

_HOMES = {**_names.ALL, **_names.V1}

__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_attributes(__name__, _HOMES)
