"""Which of PyTorch's weights is which of Keras's: the one list that both directions go by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def flat(layer) -> list:
    """The layers within a Keras network that compute something themselves, in order."""
    from tfhific.backend import keras
    from tfhific.models.layers import Parallel, Residual

    if isinstance(layer, keras.Sequential):
        return [inner for part in layer.layers for inner in flat(part)]
    if isinstance(layer, Parallel):
        return [inner for part in layer.branches for inner in flat(part)]
    if isinstance(layer, Residual):
        return flat(layer.branch)
    return [layer]


def _networks(model) -> Iterator[tuple[object, list[str]]]:
    """Each Keras network, and PyTorch's names of its layers that have weights."""
    config = model.config

    def blocks(part: str, count: int) -> list[str]:
        kinds = ("depthwise", "expand", "reduce")
        return [f"{part}.blocks.{i}.{kind}" for i in range(count) for kind in kinds]

    def hyper_synthesis(name: str) -> list[str]:
        return [f"{name}.up.0", f"{name}.up.1", f"{name}.out"]

    encoder, decoder = (
        blocks("analysis", config.encoder_blocks),
        blocks("synthesis", config.decoder_blocks),
    )
    rendering = [f"synthesis.{name}" for name in ("spread", "render", "out")]
    yield model.analysis, ["analysis.linear.conv", "analysis.embed", *encoder, "analysis.out"]
    yield model.synthesis, ["synthesis.linear.conv", "synthesis.embed", *decoder, *rendering]
    yield model.hyper_analysis, [f"hyper_analysis.convs.{i}" for i in range(3)]
    yield model.hyper_synthesis_scale, hyper_synthesis("scales")
    yield model.context_features, hyper_synthesis("context.from_z")
    yield model.context_first, ["context.first"]
    yield model.context_near, ["context.near", "context.mix"]
    yield model.context_second, ["context.hidden", "context.second"]


def variables(model) -> Iterator[tuple[str, object, tuple[int, ...] | None]]:
    """Every weight of a built Keras `Mini2`.

    Yields:
      PyTorch's name; Keras's variable; the order of PyTorch's axes that gives Keras's, or None
      where they are the same.
    """
    from tfhific.backend import keras

    for network, names in _networks(model):
        layers = [layer for layer in flat(network) if layer.trainable_variables]
        if len(layers) != len(names):
            raise SystemExit(f"error: expected {len(layers)} layers, received {names}.")
        for layer, name in zip(layers, names):
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                yield f"{name}.weight", layer.depthwise_kernel, (2, 3, 0, 1)
            else:
                # Both kinds: PyTorch has [out, in, k, k], or [in, out, k, k] for upsampling ones,
                # and Keras [k, k, in, out] and [k, k, out, in].
                yield f"{name}.weight", layer.kernel, (2, 3, 1, 0)
            yield f"{name}.bias", layer.bias, None
    for kind in ("matrices", "biases", "factors"):
        for number, variable in enumerate(getattr(model.z_prior.base, f"_{kind}")):
            yield f"z_prior.{kind}.{number}", variable, None
    for name in ("log_gain", "log_inverse_gain"):
        yield name, getattr(model, name), None


def assign(model, state: dict[str, np.ndarray]) -> None:
    """Sets every weight of a built Keras `Mini2`.

    Raises:
      SystemExit: where the two have other weights.
    """
    left = dict(state)
    for name, variable, order in variables(model):
        if name not in left:
            raise SystemExit(f"error: the weights lack {name}.")
        value = left.pop(name)
        value = value if order is None else value.transpose(order)
        if tuple(variable.shape) != value.shape:
            raise SystemExit(
                f"error: expected the shape {tuple(variable.shape)} of {name}, received "
                f"{value.shape}."
            )
        variable.assign(value)
    if left:
        raise SystemExit(f"error: the Keras model has no place for {', '.join(left)}.")


def state_of(model) -> dict[str, np.ndarray]:
    """The weights of a built Keras `Mini2` by PyTorch's names, float32."""
    return {
        name: np.ascontiguousarray(
            variable.numpy() if order is None else variable.numpy().transpose(np.argsort(order))
        )
        for name, variable, order in variables(model)
    }
