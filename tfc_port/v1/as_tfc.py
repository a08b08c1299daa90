"""`import tfc_port.v1.as_tfc` lets `import tensorflow_compression` find TFC 1.3's API from then on.

Otherwise as `tfc_port.as_tfc`.
"""

from __future__ import annotations

from tfc_port._alias import install

install(api=1)
