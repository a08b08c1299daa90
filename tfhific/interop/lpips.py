"""LPIPS weights from the Python packages `lpips` and `torchvision`, which use PyTorch."""

from __future__ import annotations

import io

import numpy as np

from tfhific.errors import ModelError
from tfhific.files.atomic import write_atomically
from tfhific.losses.lpips_weights import BACKBONES, Tap, convolutions

_THEIR_NAMES = {"alex": "alex", "squeeze": "squeeze", "vgg16": "vgg"}


def import_lpips(backbone: str, path: str, overwrite: bool = False) -> tuple[int, int]:
    """Writes an npz file that `tfhific.losses.lpips.LPIPS` reads.

    Args:
      backbone: "alex", "squeeze" or "vgg16".
      path: of the file.
      overwrite: replace it.

    Returns:
      Bytes written, and number of taps.

    Raises:
      ModelError: without the packages, when they can't get their weights, or when these are not
        what the layout expects.
      OutputError: when the file can't be written.
    """
    try:
        import lpips
        import torchvision  # noqa: F401 - lpips takes the backbone from there
    except ImportError as error:
        raise ModelError(
            f"The packages lpips and torchvision are needed, and one is not there ({error}): "
            "pip install lpips torchvision."
        ) from None
    # torchvision fetches a backbone on first use, which can fail in any way that networks can.
    try:
        model = lpips.LPIPS(net=_THEIR_NAMES[backbone], version="0.1", verbose=False)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ModelError(f"lpips can't load {backbone}: {type(error).__name__}: {reason}") from None
    arrays = to_arrays(backbone, _numpy(model.net.state_dict()), _numpy(model.lins.state_dict()))
    data = io.BytesIO()
    np.savez(data, **arrays)
    write_atomically(path, data.getvalue(), overwrite)
    return len(data.getvalue()), sum(name.startswith("lin") for name in arrays)


def _numpy(state: dict) -> dict[str, np.ndarray]:
    return {name: np.asarray(tensor.detach().cpu().numpy()) for name, tensor in state.items()}


def to_arrays(
    backbone: str, trunk: dict[str, np.ndarray], heads: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The arrays of the npz file.

    Args:
      backbone: "alex", "squeeze" or "vgg16".
      trunk: weights [out, in, height, width] and biases [out] in the order of the data flow.
      heads: weights [1, channels, 1, 1], in the order of the taps.

    Raises:
      ModelError: when there are more or fewer than the layout expects, or of other shapes.
    """
    layers, _ = BACKBONES[backbone]
    names = [conv.name for layer in layers for conv in convolutions(layer)]
    taps = sum(isinstance(layer, Tap) for layer in layers)
    weights = [value for name, value in trunk.items() if name.endswith("weight")]
    biases = [value for name, value in trunk.items() if name.endswith("bias")]
    if not len(names) == len(weights) == len(biases) or len(heads) != taps:
        raise ModelError(
            f"Expected {len(names)} convolutions and {taps} heads of {backbone}. Received: "
            f"{len(weights)} and {len(heads)}. This version of lpips is another than 0.1.4."
        )
    arrays = {}
    for name, weight, bias in zip(names, weights, biases):
        if weight.ndim != 4 or bias.shape != weight.shape[:1]:
            raise ModelError(f"{name}: {weight.shape} and {bias.shape} are of no convolution.")
        arrays[f"{name}/kernel"] = np.ascontiguousarray(weight.transpose(2, 3, 1, 0), np.float32)
        arrays[f"{name}/bias"] = bias.astype(np.float32)
    for number, head in enumerate(heads.values()):
        arrays[f"lin{number}"] = head.reshape(-1).astype(np.float32)
    return arrays
