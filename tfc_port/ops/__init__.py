"""Operations: bounds, rounding, padding, tables and the range coder."""

from __future__ import annotations

from tfc_port import _names
from tfc_port._lazy import lazy_attributes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfc_port.ops.bounds import lower_bound, upper_bound
    from tfc_port.ops.decoder import (
        create_range_decoder,
        entropy_decode_channel,
        entropy_decode_finalize,
        entropy_decode_index,
    )
    from tfc_port.ops.encoder import (
        create_range_encoder,
        entropy_encode_channel,
        entropy_encode_finalize,
        entropy_encode_index,
    )
    from tfc_port.ops.padding import same_padding_for_kernel
    from tfc_port.ops.perturb import perturb_and_apply
    from tfc_port.ops.quantized_cdf import pmf_to_quantized_cdf
    from tfc_port.ops.range_coding import (
        range_decode,
        range_encode,
        unbounded_index_range_decode,
        unbounded_index_range_encode,
    )
    from tfc_port.ops.rounding import (
        round_st,
        soft_round,
        soft_round_conditional_mean,
        soft_round_inverse,
    )
    from tfc_port.ops.run_length import (
        run_length_decode,
        run_length_encode,
        run_length_gamma_decode,
        run_length_gamma_encode,
    )
    from tfc_port.ops.stochastic import stochastic_round
else:
    __getattr__, __dir__ = lazy_attributes(__name__, _names.OPS, _names.LEFT_OUT)

__all__ = [
    "create_range_decoder",
    "create_range_encoder",
    "entropy_decode_channel",
    "entropy_decode_finalize",
    "entropy_decode_index",
    "entropy_encode_channel",
    "entropy_encode_finalize",
    "entropy_encode_index",
    "lower_bound",
    "perturb_and_apply",
    "pmf_to_quantized_cdf",
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
]
