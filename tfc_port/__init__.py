"""TFC's API without its kernels: learned data compression on core TensorFlow ops.

The names, arguments and results are those of tensorflow-compression 2.14, for TensorFlow 2.14 and
later: `import tfc_port as tfc`. Names are imported on first use; see docs/tfc_port.md.
"""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

# Type checkers take it for true. `typing` would take longer to import than all of this package.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfc_port import coding, datasets, distributions, entropy_models, layers, ops, v1
    from tfc_port.datasets import Y4MDataset
    from tfc_port.distributions import (
        DeepFactorized,
        MonotonicAdapter,
        NoisyDeepFactorized,
        NoisyLaplace,
        NoisyLogistic,
        NoisyLogisticMixture,
        NoisyMixtureSameFamily,
        NoisyNormal,
        NoisyNormalMixture,
        NoisyRoundAdapter,
        NoisyRoundedDeepFactorized,
        NoisyRoundedNormal,
        NoisySoftRoundAdapter,
        NoisySoftRoundedDeepFactorized,
        NoisySoftRoundedNormal,
        RoundAdapter,
        SoftRoundAdapter,
        UniformNoiseAdapter,
        estimate_tails,
        lower_tail,
        quantization_offset,
        upper_tail,
    )
    from tfc_port.entropy_models import (
        ContinuousBatchedEntropyModel,
        ContinuousIndexedEntropyModel,
        LaplaceEntropyModel,
        LocationScaleIndexedEntropyModel,
        PowerLawEntropyModel,
        UniversalBatchedEntropyModel,
        UniversalIndexedEntropyModel,
    )
    from tfc_port.layers import (
        GDN,
        GDNParameter,
        IdentityInitializer,
        Parameter,
        RDFTParameter,
        SignalConv1D,
        SignalConv2D,
        SignalConv3D,
        SoftRound,
        SoftRoundConditionalMean,
    )
    from tfc_port.ops import (
        create_range_decoder,
        create_range_encoder,
        entropy_decode_channel,
        entropy_decode_finalize,
        entropy_decode_index,
        entropy_encode_channel,
        entropy_encode_finalize,
        entropy_encode_index,
        lower_bound,
        perturb_and_apply,
        pmf_to_quantized_cdf,
        range_decode,
        range_encode,
        round_st,
        run_length_decode,
        run_length_encode,
        run_length_gamma_decode,
        run_length_gamma_encode,
        same_padding_for_kernel,
        soft_round,
        soft_round_conditional_mean,
        soft_round_inverse,
        stochastic_round,
        unbounded_index_range_decode,
        unbounded_index_range_encode,
        upper_bound,
    )
    from tfc_port.packed_tensors import PackedTensors
else:
    _PACKAGES = ("coding", "datasets", "distributions", "entropy_models", "layers", "ops", "v1")
    __getattr__, __dir__ = lazy_attributes(
        __name__, {**_names.ALL, **dict.fromkeys(_PACKAGES, "")}, _names.LEFT_OUT
    )

__all__ = [
    "GDN",
    "ContinuousBatchedEntropyModel",
    "ContinuousIndexedEntropyModel",
    "DeepFactorized",
    "GDNParameter",
    "IdentityInitializer",
    "LaplaceEntropyModel",
    "LocationScaleIndexedEntropyModel",
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
    "PackedTensors",
    "Parameter",
    "PowerLawEntropyModel",
    "RDFTParameter",
    "RoundAdapter",
    "SignalConv1D",
    "SignalConv2D",
    "SignalConv3D",
    "SoftRound",
    "SoftRoundAdapter",
    "SoftRoundConditionalMean",
    "UniformNoiseAdapter",
    "UniversalBatchedEntropyModel",
    "UniversalIndexedEntropyModel",
    "Y4MDataset",
    "coding",
    "create_range_decoder",
    "create_range_encoder",
    "datasets",
    "distributions",
    "entropy_decode_channel",
    "entropy_decode_finalize",
    "entropy_decode_index",
    "entropy_encode_channel",
    "entropy_encode_finalize",
    "entropy_encode_index",
    "entropy_models",
    "estimate_tails",
    "layers",
    "lower_bound",
    "lower_tail",
    "ops",
    "perturb_and_apply",
    "pmf_to_quantized_cdf",
    "quantization_offset",
    "range_decode",
    "range_encode",
    "round_st",
    "run_length_decode",
    "run_length_encode",
    "run_length_gamma_decode",
    "run_length_gamma_encode",
    "same_padding_for_kernel",
    "soft_round",
    "soft_round_conditional_mean",
    "soft_round_inverse",
    "stochastic_round",
    "unbounded_index_range_decode",
    "unbounded_index_range_encode",
    "upper_bound",
    "upper_tail",
    "v1",
]
