"""Probability distributions, based on `tfp.distributions.Distribution`."""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfc_port.distributions.deep_factorized import DeepFactorized, NoisyDeepFactorized
    from tfc_port.distributions.noisy_mixture import (
        NoisyLogisticMixture,
        NoisyMixtureSameFamily,
        NoisyNormalMixture,
    )
    from tfc_port.distributions.round_adapters import (
        MonotonicAdapter,
        NoisyRoundAdapter,
        NoisyRoundedDeepFactorized,
        NoisyRoundedNormal,
        NoisySoftRoundAdapter,
        NoisySoftRoundedDeepFactorized,
        NoisySoftRoundedNormal,
        RoundAdapter,
        SoftRoundAdapter,
    )
    from tfc_port.distributions.tails import (
        estimate_tails,
        lower_tail,
        quantization_offset,
        upper_tail,
    )
    from tfc_port.distributions.uniform_noise import (
        NoisyLaplace,
        NoisyLogistic,
        NoisyNormal,
        UniformNoiseAdapter,
    )
else:
    __getattr__, __dir__ = lazy_attributes(__name__, _names.DISTRIBUTIONS, _names.LEFT_OUT)

__all__ = [
    "DeepFactorized",
    "MonotonicAdapter",
    "NoisyDeepFactorized",
    "NoisyLaplace",
    "NoisyLogistic",
    "NoisyLogisticMixture",
    "NoisyMixtureSameFamily",
    "NoisyNormal",
    "NoisyNormalMixture",
    "NoisyRoundAdapter",
    "NoisyRoundedDeepFactorized",
    "NoisyRoundedNormal",
    "NoisySoftRoundAdapter",
    "NoisySoftRoundedDeepFactorized",
    "NoisySoftRoundedNormal",
    "RoundAdapter",
    "SoftRoundAdapter",
    "UniformNoiseAdapter",
    "estimate_tails",
    "lower_tail",
    "quantization_offset",
    "upper_tail",
]
