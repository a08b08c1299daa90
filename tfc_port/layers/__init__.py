"""Keras layers, and the parameters and initializers they are made of."""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfc_port.layers.gdn import GDN
    from tfc_port.layers.gdn_parameter import GDNParameter
    from tfc_port.layers.identity_initializer import IdentityInitializer
    from tfc_port.layers.parameter import Parameter
    from tfc_port.layers.rdft_parameter import RDFTParameter
    from tfc_port.layers.signal_conv import SignalConv1D, SignalConv2D, SignalConv3D
    from tfc_port.layers.soft_round import SoftRound, SoftRoundConditionalMean
else:
    __getattr__, __dir__ = lazy_attributes(__name__, _names.LAYERS, _names.LEFT_OUT)

__all__ = [
    "GDN",
    "GDNParameter",
    "IdentityInitializer",
    "Parameter",
    "RDFTParameter",
    "SignalConv1D",
    "SignalConv2D",
    "SignalConv3D",
    "SoftRound",
    "SoftRoundConditionalMean",
]
