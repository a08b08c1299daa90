"""`import tfc_port.as_tfc` lets `import tensorflow_compression` find the port from then on.

Its `python.ops.*`, `python.layers.*`, `python.entropy_models.*` and `python.distributions.*` are
found too. For programs of TFC 1 import `tfc_port.v1.as_tfc` instead. Where the program should not
be changed at all: `python -m tfc_port run program.py`.
"""

from __future__ import annotations

from tfc_port._alias import install

install(api=2)
