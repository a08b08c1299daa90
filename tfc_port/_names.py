"""Where the public names live, and what became of the names that are left out."""

from __future__ import annotations


def _homes(modules: dict[str, str]) -> dict[str, str]:
    return {name: module for module, names in modules.items() for name in names.split()}


OPS = _homes(
    {
        "tfc_port.ops.bounds": "lower_bound upper_bound",
        "tfc_port.ops.decoder": (
            "create_range_decoder entropy_decode_channel entropy_decode_finalize"
            " entropy_decode_index"
        ),
        "tfc_port.ops.encoder": (
            "create_range_encoder entropy_encode_channel entropy_encode_finalize"
            " entropy_encode_index"
        ),
        "tfc_port.ops.padding": "same_padding_for_kernel",
        "tfc_port.ops.perturb": "perturb_and_apply",
        "tfc_port.ops.quantized_cdf": "pmf_to_quantized_cdf",
        "tfc_port.ops.range_coding": (
            "range_decode range_encode unbounded_index_range_decode unbounded_index_range_encode"
        ),
        "tfc_port.ops.run_length": (
            "run_length_decode run_length_encode run_length_gamma_decode run_length_gamma_encode"
        ),
        "tfc_port.ops.stochastic": "stochastic_round",
        "tfc_port.ops.rounding": (
            "round_st soft_round soft_round_conditional_mean soft_round_inverse"
        ),
    }
)

LAYERS = _homes(
    {
        "tfc_port.layers.gdn": "GDN",
        "tfc_port.layers.gdn_parameter": "GDNParameter",
        "tfc_port.layers.identity_initializer": "IdentityInitializer",
        "tfc_port.layers.parameter": "Parameter",
        "tfc_port.layers.rdft_parameter": "RDFTParameter",
        "tfc_port.layers.signal_conv": "SignalConv1D SignalConv2D SignalConv3D",
        "tfc_port.layers.soft_round": "SoftRound SoftRoundConditionalMean",
    }
)

DISTRIBUTIONS = _homes(
    {
        "tfc_port.distributions.deep_factorized": "DeepFactorized NoisyDeepFactorized",
        "tfc_port.distributions.noisy_mixture": (
            "NoisyLogisticMixture NoisyMixtureSameFamily NoisyNormalMixture"
        ),
        "tfc_port.distributions.round_adapters": (
            "MonotonicAdapter NoisyRoundAdapter NoisyRoundedDeepFactorized NoisyRoundedNormal"
            " NoisySoftRoundAdapter NoisySoftRoundedDeepFactorized NoisySoftRoundedNormal"
            " RoundAdapter SoftRoundAdapter"
        ),
        "tfc_port.distributions.tails": (
            "estimate_tails lower_tail quantization_offset upper_tail"
        ),
        "tfc_port.distributions.uniform_noise": (
            "NoisyLaplace NoisyLogistic NoisyNormal UniformNoiseAdapter"
        ),
    }
)

ENTROPY_MODELS = _homes(
    {
        "tfc_port.entropy_models.continuous_batched": "ContinuousBatchedEntropyModel",
        "tfc_port.entropy_models.continuous_indexed": "ContinuousIndexedEntropyModel",
        "tfc_port.entropy_models.laplace": "LaplaceEntropyModel",
        "tfc_port.entropy_models.power_law": "PowerLawEntropyModel",
        "tfc_port.entropy_models.location_scale": "LocationScaleIndexedEntropyModel",
        "tfc_port.entropy_models.universal_batched": "UniversalBatchedEntropyModel",
        "tfc_port.entropy_models.universal_indexed": "UniversalIndexedEntropyModel",
    }
)

DATASETS = {"Y4MDataset": "tfc_port.datasets.y4m_dataset"}

OTHERS = {"PackedTensors": "tfc_port.packed_tensors"}

ALL = {**OPS, **LAYERS, **DISTRIBUTIONS, **ENTROPY_MODELS, **DATASETS, **OTHERS}

V1 = _homes(
    {
        "tfc_port.v1.conditional": (
            "GaussianConditional LaplacianConditional LogisticConditional SymmetricConditional"
        ),
        "tfc_port.v1.entropy_bottleneck": "EntropyBottleneck",
        "tfc_port.v1.entropy_model": "EntropyModel",
        "tfc_port.v1.layers": "GDN SignalConv1D SignalConv2D SignalConv3D",
        "tfc_port.v1.packed_tensors": "PackedTensors",
        "tfc_port.v1.parameterizers": (
            "NonnegativeParameterizer Parameterizer RDFTParameterizer StaticParameterizer"
            " irdft_matrix"
        ),
    }
)
"""What `tfc_port.v1` has of its own."""

LEFT_OUT: dict[str, str] = {}
"""Names of TFC that are not here, and what to use instead."""
