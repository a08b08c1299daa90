"""Makes a published model of a run of `train.py`: publish.py WEIGHTS NAME --data=DIR --out=DIR.

WEIGHTS is the run's `weights.safetensors`, or the candidate kept in the repository. Needs the
packages of the project and not PyTorch.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

CALIBRATION_QUALITIES = (1.0, 2.5, 4.0, 6.0, 8.0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="weights.safetensors")
    parser.add_argument("name", help="of the published model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model's folder")
    parser.add_argument("--data", type=Path, help="photographs to fit the tables to")
    parser.add_argument("--images", type=int, default=48, help="how many of them, spread evenly")
    parser.add_argument("--training", type=json.loads, default={}, help="JSON: how it came about")
    return parser.parse_args()


def read_weights(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays by PyTorch's names, float32, and the configuration's fields."""
    from safetensors import safe_open

    with safe_open(str(path), "numpy") as file:
        config = json.loads((file.metadata() or {})["config"])
        names = list(file.keys())
        return {name: file.get_tensor(name).astype(np.float32) for name in names}, config


def assign(model, state: dict[str, np.ndarray]) -> None:
    """Sets every weight of a built Keras `Mini2`.

    Raises:
      SystemExit: where the two have other weights.
    """
    from tfhific.backend import keras

    left = dict(state)

    def put(variable, value: np.ndarray) -> None:
        if tuple(variable.shape) != value.shape:
            raise SystemExit(f"error: expected the shape {variable.shape}, received {value.shape}.")
        variable.assign(value)

    def convolution(layer, name: str) -> None:
        kernel = left.pop(f"{name}.weight")
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            put(layer.depthwise_kernel, kernel.transpose(2, 3, 0, 1))
        else:
            # Both kinds: PyTorch has [out, in, k, k], or [in, out, k, k] for upsampling ones, and
            # Keras the same order of channels as [k, k, in, out] and [k, k, out, in].
            put(layer.kernel, kernel.transpose(2, 3, 1, 0))
        put(layer.bias, left.pop(f"{name}.bias"))

    def together(network, names: list[str]) -> None:
        layers = [layer for layer in flat(network) if layer.trainable_variables]
        if len(layers) != len(names):
            raise SystemExit(f"error: expected {len(layers)} layers, received {names}.")
        for layer, name in zip(layers, names):
            convolution(layer, name)

    def blocks(part: str, count: int) -> list[str]:
        kinds = ("depthwise", "expand", "reduce")
        return [f"{part}.blocks.{i}.{kind}" for i in range(count) for kind in kinds]

    def hyper_synthesis(name: str) -> list[str]:
        return [f"{name}.up.0", f"{name}.up.1", f"{name}.out"]

    config = model.config
    together(
        model.analysis,
        [
            "analysis.linear.conv",
            "analysis.embed",
            *blocks("analysis", config.encoder_blocks),
            "analysis.out",
        ],
    )
    together(
        model.synthesis,
        [
            "synthesis.linear.conv",
            "synthesis.embed",
            *blocks("synthesis", config.decoder_blocks),
            *(f"synthesis.{name}" for name in ("spread", "render", "out")),
        ],
    )
    together(model.hyper_analysis, [f"hyper_analysis.convs.{i}" for i in range(3)])
    together(model.hyper_synthesis_scale, hyper_synthesis("scales"))
    together(model.context_features, hyper_synthesis("context.from_z"))
    together(model.context_first, ["context.first"])
    together(model.context_near, ["context.near", "context.mix"])
    together(model.context_second, ["context.hidden", "context.second"])
    base = model.z_prior.base
    for kind in ("matrices", "biases", "factors"):
        for number, variable in enumerate(getattr(base, f"_{kind}")):
            put(variable, left.pop(f"z_prior.{kind}.{number}"))
    for name in ("log_gain", "log_inverse_gain"):
        put(getattr(model, name), left.pop(name))
    if left:
        raise SystemExit(f"error: the Keras model has no place for {', '.join(left)}.")


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


def keras_model(weights: Path):
    """The Keras `Mini2` with a run's weights."""
    import tensorflow as tf

    from tfhific.models.mini2 import Mini2, Mini2Config

    state, config = read_weights(weights)
    model = Mini2(Mini2Config(**config))
    model(tf.zeros([1, 64, 64, 3]))
    assign(model, state)
    return model


def main() -> None:
    options = parse()
    from tfhific.codec.calibration import calibrate
    from tfhific.codec.images import read_picture
    from tfhific.codec.model import save_model
    from tfhific.codec.publish import publish
    from tfhific.data.folders import list_images

    model = keras_model(options.weights)
    published = publish(model, options.name, {"system": "mini2", **options.training})
    if options.data:
        paths = list_images(str(options.data))
        paths = paths[:: max(len(paths) // options.images, 1)][: options.images]
        images = (read_picture(path).pixels for path in paths)
        published = calibrate(published, images, CALIBRATION_QUALITIES)
    path = save_model(published, options.out / options.name)
    print(f"{path}: {Path(path).stat().st_size:,} bytes, {published.fingerprint.hex()}")


if __name__ == "__main__":
    main()
