"""HiFiC from a checkpoint of its PyTorch implementation, and back into one."""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Mapping

import numpy as np

from tfhific.errors import ModelError
from tfhific.interop.hific_layout import entries
from tfhific.models.hific import HiFiC, HiFiCConfig

_TARGETS = {"low": (0.14, 2.0), "med": (0.30, 1.0), "high": (0.45, 0.5)}
_MODEL_TYPES = ("compression", "compression_gan")

# What evaluation adds to a model: frozen tables, and entropy models that hold its density again.
_EVALUATION_ONLY = re.compile(r"(^|\.)\w*entropy_model\.|(^|[._])(CDF|cdf)(_|$)|\.scale_table$")
_LISTED = 12
_SPECTRAL_PARTS = ("weight_orig", "bias", "weight_u")


@dataclasses.dataclass(frozen=True)
class Imported:
    """What a checkpoint held.

    Attributes:
      model: the Keras model with its weights.
      facts: JSON values: epoch, steps and settings of the checkpoint.
      ignored: names of tensors that only evaluation needs, or that were not asked for.
    """

    model: HiFiC
    facts: dict
    ignored: tuple[str, ...]


def model_of(checkpoint: object, ignore_extra: bool = False) -> Imported:
    """The model of a checkpoint's contents.

    Args:
      checkpoint: as `torch_checkpoint.read_checkpoint` gives it.
      ignore_extra: whether tensors that no model here has are left out rather than refused.

    Raises:
      ModelError: when a part, a tensor or a setting is missing, left over, of another shape, not
        finite or not supported; the message lists them.
    """
    if not isinstance(checkpoint, Mapping) or not isinstance(
        checkpoint.get("model_state_dict"), Mapping
    ):
        keys = f"a {type(checkpoint).__name__}"
        if isinstance(checkpoint, (Mapping, list, tuple)):
            keys = ", ".join(map(str, list(checkpoint)[:_LISTED])) or "nothing"
        raise ModelError(
            "Expected a checkpoint with an entry 'model_state_dict', as the PyTorch "
            f"implementation of HiFiC saves it. Received: {keys:.300}."
        )
    settings = checkpoint.get("args")
    if not isinstance(settings, Mapping):
        raise ModelError(
            "Expected the checkpoint's entry 'args', the settings that decide the architecture. "
            f"Received: {type(settings).__name__}."
        )
    state = _state(checkpoint)
    config = configuration(settings, state)
    expected = {entry.name: entry for entry in entries(config)}
    extra = sorted(name for name in state if name not in expected)
    ignored = [name for name in extra if ignore_extra or _EVALUATION_ONLY.search(name)]
    _complain(expected, state, sorted(set(extra) - set(ignored)))
    model = HiFiC(config)
    for name, entry in expected.items():
        value = entry.imported(state[name])
        if not np.all(np.isfinite(value)):
            raise ModelError(f"The checkpoint's tensor {name!r} has values that are not finite.")
        entry.variable(model).assign(value)
    return Imported(model, _facts(checkpoint, settings), tuple(ignored))


def _state(checkpoint: Mapping) -> dict[str, np.ndarray]:
    def named(part: object, prefix: str = "") -> dict:
        found = {}
        for name, value in part.items() if isinstance(part, Mapping) else ():
            if isinstance(name, str) and isinstance(value, np.ndarray):
                plain = prefix + _without_wrappers(name)
                if plain in found:
                    raise ModelError(
                        f"The checkpoint has two tensors for {plain!r}, one of them {name!r:.80}."
                    )
                found[plain] = value
        return found

    state = named(checkpoint["model_state_dict"])
    if not any(name.startswith("Discriminator.") for name in state):
        state.update(named(checkpoint.get("discriminator_state_dict"), "Discriminator."))
    return state


def _without_wrappers(name: str) -> str:
    """A tensor's name without what DataParallel and `torch.compile` put into it.

    The first wraps a whole model, and puts `module.` before every name; the second, whichever part
    was compiled, and puts `_orig_mod.` before the names of that part. They come in any order.
    """
    name = re.sub(r"(^|\.)(_orig_mod\.)+", r"\1", name)
    return re.sub(r"^module\.", "", name)


def configuration(settings: Mapping, state: Mapping[str, np.ndarray]) -> HiFiCConfig:
    """The configuration that a checkpoint's settings and widths ask for.

    Raises:
      ModelError: for settings of an architecture that is not here.
    """

    def setting(name: str, kind, default):
        value = settings.get(name, default)
        if value is None:
            value = default
        if isinstance(value, bool) != (kind is bool) or not isinstance(value, kind):
            raise ModelError(
                f"Expected the checkpoint's setting {name!r} to be such as {default!r}. "
                f"Received: {value!r:.80}."
            )
        return value

    for name, unsupported in (("use_channel_norm", False), ("use_latent_mixture_model", True)):
        if setting(name, bool, not unsupported) == unsupported:
            raise ModelError(
                f"The checkpoint has {name} = {unsupported}: that architecture is not supported."
            )
    regime = setting("regime", str, "low")
    if regime not in _TARGETS:
        raise ModelError(f"Expected the regime low, med or high. Received: {regime!r:.80}.")
    model_type = setting("model_type", str, "")
    has_discriminator = any(name.startswith("Discriminator.") for name in state)
    if model_type not in ("", *_MODEL_TYPES):
        raise ModelError(
            f"Expected the model_type {' or '.join(_MODEL_TYPES)}. Received: {model_type!r:.80}."
        )
    for name, most in (("latent_channels", 4096), ("n_residual_blocks", 64)):
        if not 1 <= setting(name, int, 1) <= most:
            raise ModelError(f"Expected {name} from 1 to {most}. Received: {settings[name]!r:.80}.")
    blocks = {m[1] for name in state if (m := re.match(r"Generator\.resblock_(\d+)\.", name))}
    target, weight = _TARGETS[regime]
    likelihood = setting("likelihood_type", str, "gaussian")
    try:
        return HiFiCConfig(
            variant="pytorch",
            latent_channels=setting("latent_channels", int, 220),
            hyper_channels=_width(
                state,
                320,
                *((f"Hyperprior.analysis_net.conv{i}.bias", 0) for i in (1, 2, 3)),
                ("Hyperprior.hyperlatent_likelihood.H_0", 0),
            ),
            channels=tuple(
                _width(
                    state,
                    default,
                    (f"Encoder.conv_block{i}.1.weight", 0),
                    (f"Encoder.conv_block{i}.1.bias", 0),
                    (f"Encoder.conv_block{i}.2.gamma", 1),
                )
                for i, default in enumerate((60, 120, 240, 480, 960), 1)
            ),
            residual_blocks=setting("n_residual_blocks", int, len(blocks) or 9),
            normalize_input=setting("normalize_input_image", bool, False),
            discriminator_channels=tuple(
                _width(
                    state,
                    default,
                    *((f"Discriminator.conv{i}.{part}", 0) for part in _SPECTRAL_PARTS),
                )
                for i, default in enumerate((64, 128, 256, 512), 1)
            ),
            context_channels=_width(
                state,
                12,
                ("Discriminator.context_conv.bias", 0),
                ("Discriminator.context_conv.weight", 0),
            ),
            likelihood=likelihood,
            adversary="patch" if has_discriminator or model_type == "compression_gan" else "none",
            target_bpp=float(setting("target_rate", (int, float), target)),
            rate_weight_above=weight,
            rate_weight_below=1.0 / 16,
            warmup_rate_weight=2.0,
        )
    except ValueError as error:
        raise ModelError(f"The checkpoint's settings are not supported: {error}") from None


def _width(state: Mapping[str, np.ndarray], default: int, *shown: tuple[str, int]) -> int:
    """What most of the tensors that a width shows in say; one of them may be damaged."""
    seen = [
        state[name].shape[axis] for name, axis in shown if name in state and state[name].ndim > axis
    ]
    return collections.Counter(seen).most_common(1)[0][0] if seen else default


def _complain(expected: Mapping, state: Mapping[str, np.ndarray], left_over: list[str]) -> None:
    missing = [name for name in expected if name not in state]
    misshaped = [
        f"{name} {tuple(state[name].shape)} for {entry.shape}"
        for name, entry in expected.items()
        if name in state and tuple(state[name].shape) != entry.shape
    ]
    kinds = [
        f"{name} {state[name].dtype}"
        for name in expected
        if name in state and state[name].dtype.kind != "f"
    ]
    problems = [
        f"{len(names)} {what}: {', '.join(names[:_LISTED])}"
        + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        for what, names in (
            ("missing", missing),
            ("of another shape", misshaped),
            ("left over", left_over),
            ("not of floating-point numbers", kinds),
        )
        if names
    ]
    if problems:
        raise ModelError(
            "The checkpoint's tensors do not fit the architecture that its settings ask for. "
            + "; ".join(problems)
            + "."
        )


def _plain(value, depth: int = 0):
    """A setting as a JSON value, or None where it is none or too large to keep."""
    if isinstance(value, (bool, int, str)) or value is None:
        return value if not isinstance(value, str) or len(value) < 1000 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)) and len(value) < 100 and depth < 3:
        return [_plain(item, depth + 1) for item in value]
    return None


def _facts(checkpoint: Mapping, settings: Mapping) -> dict:
    kept = {name: _plain(value) for name, value in settings.items() if isinstance(name, str)}
    facts = {"settings": {name: value for name, value in kept.items() if value is not None}}
    for name in ("epoch", "steps"):
        facts[name] = _plain(checkpoint.get(name))
    return facts


def checkpoint_of(model: HiFiC, facts: dict | None = None) -> dict:
    """A model as the PyTorch implementation's checkpoint, arrays for tensors.

    Optimiser states are not in it: its entries for them are empty.

    Args:
      model: of the `pytorch` variant.
      facts: what `Imported.facts` says, where the model came from such a checkpoint.

    Raises:
      ModelError: for the other variant, whose padding that implementation does not have.
    """
    config = model.config
    if config.variant != "pytorch":
        raise ModelError(
            "Only models of the variant 'pytorch' can be exported: the PyTorch implementation "
            f"pads differently from the variant {config.variant!r}."
        )
    facts = facts or {}
    state = collections.OrderedDict(
        (entry.name, entry.exported(entry.variable(model).numpy())) for entry in entries(config)
    )
    gan = config.adversary != "none"
    regimes = {weight: name for name, (_, weight) in _TARGETS.items()}
    settings = {
        **facts.get("settings", {}),
        "latent_channels": config.latent_channels,
        "n_residual_blocks": config.residual_blocks,
        "normalize_input_image": config.normalize_input,
        "likelihood_type": config.likelihood,
        "use_channel_norm": True,
        "regime": regimes.get(config.rate_weight_above, "low"),
        "target_rate": config.target_bpp,
        "model_type": "compression_gan" if gan else "compression",
    }
    if "image_dims" in settings:
        settings["image_dims"] = tuple(settings["image_dims"])
    else:
        settings["image_dims"] = (3, 256, 256)
    checkpoint = {
        "model_state_dict": state,
        "compression_optimizer_state_dict": {},
        "hyperprior_optimizer_state_dict": {},
        "epoch": facts.get("epoch") or 0,
        "steps": facts.get("steps") or 0,
        "args": settings,
    }
    if gan:
        prefix = "Discriminator."
        checkpoint["discriminator_state_dict"] = collections.OrderedDict(
            (name[len(prefix) :], value) for name, value in state.items() if name.startswith(prefix)
        )
        checkpoint["discriminator_optimizer_state_dict"] = {}
    return checkpoint
