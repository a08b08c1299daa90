"""Judges decoders of one codec by what they were not trained for.

    python tools/train_torch/judge.py --kodak=KODAK --networks=alex.npz,squeeze.npz --stlpips \
        --dead_zone=0.016 RUN/weights.safetensors OTHER/weights.safetensors

Whole pictures, rounded as their files are read. `--networks` are files of LPIPS's weights;
`--stlpips` adds the shift-tolerant one of the package stlpips-pytorch (A. Ghildyal, F. Liu:
"Shift-tolerant Perceptual Similarity Metric", ECCV 2022, arXiv 2207.13686), by AlexNet. Means over
the pictures are printed as a table in Markdown. With `--features`, VGG16's, its last column is the
Frechet distance (M. Heusel et al. 2017, arXiv 1706.08500, equation 6) between the places of 64x64
pixels of all originals and of all decoded pictures, each seen by VGG16's third tap: it does not ask
whether a place looks like its original.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path

import measure
import numpy as np
import perceptual
import torch
from configuration import Mini2Config
from networks import Mini2, smallest_side
from realistic import coded, pixels, read_codec
from torch import Tensor
from torch.nn import functional
from train import existing_file, on_device

Judge = Callable[[Tensor, Tensor], Tensor]


def psnr(images: Tensor, made: Tensor) -> Tensor:
    """Decibels, [b]."""
    return 10 * torch.log10(255.0**2 / (images - made).square().mean((1, 2, 3)).clamp_min(1e-9))


def shift_tolerant() -> Judge:
    """ST-LPIPS.

    Raises:
      SystemExit: its package is not installed.
    """
    try:
        from stlpips_pytorch import stlpips
    except ImportError as error:
        raise SystemExit(f"error: --stlpips needs stlpips-pytorch ({error}).") from None
    network = stlpips.LPIPS(net="alex", variant="shift_tolerant")
    return lambda images, made: network(images / 127.5 - 1, made / 127.5 - 1)


class Places:
    """What VGG16 sees at the places of a folder's pictures."""

    def __init__(self, path: Path | None) -> None:
        self._network = perceptual.vgg16(path, 3) if path else None
        self._rows: list[np.ndarray] = []

    def add(self, picture: Tensor) -> None:
        if self._network is not None:
            pooled = functional.avg_pool2d(self._network.taps(picture)[-1], 16)
            self._rows.append(pooled[0].flatten(1).T.double().numpy())

    def distance(self, other: Places) -> float:
        """Frechet's; `nan` where nothing was seen."""
        if not self._rows:
            return float("nan")
        first, second = np.concatenate(self._rows), np.concatenate(other._rows)
        a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
        # The product of two covariances has real eigenvalues of at least 0, but for rounding.
        common = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0.0)).sum()
        apart = np.square(first.mean(0) - second.mean(0)).sum()
        return float(apart + np.trace(a) + np.trace(b) - 2 * common)


def read(path: Path) -> Mini2:
    settings, state = read_codec(path)
    model = Mini2(Mini2Config(**settings))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise SystemExit(f"error: {path} does not hold the weights of a mini2 ({error}).") from None
    return model.eval().to(memory_format=torch.channels_last)


def codec_of(model: Mini2) -> bytes:
    """A digest of all but the synthesis transform."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not name.startswith("synthesis."):
            digest.update(value.contiguous().numpy().tobytes())
    return digest.digest()


@torch.no_grad()
def judged(
    models: dict[str, Mini2],
    judges: dict[str, Judge],
    images: list[np.ndarray],
    quality: float,
    dead_zone: float,
    features: Path | None,
) -> dict[str, list[float]]:
    """The means of every judge, and Frechet's distance if there are features, by decoder."""
    found: dict[str, list[list[float]]] = {name: [] for name in models}
    original, decoded = Places(features), {name: Places(features) for name in models}
    for image in images:
        height, width = (side // smallest_side() * smallest_side() for side in image.shape[:2])
        x = on_device(image[None, :height, :width], "cpu")
        first = next(iter(models.values()))
        code = coded(first, x, torch.tensor([quality]), dead_zone)
        original.add(x)
        for name, model in models.items():
            made = pixels(model.synthesis, code).round().clamp(0, 255)
            decoded[name].add(made)
            found[name].append([float(judge(x, made)) for judge in judges.values()])
    return {
        name: [*np.mean(values, 0), *([original.distance(decoded[name])] if features else [])]
        for name, values in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=existing_file, nargs="+", help="of runs of one codec")
    parser.add_argument("--kodak", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--networks", default="", help="of LPIPS, npz, with commas between")
    parser.add_argument("--stlpips", action="store_true", help="the shift-tolerant one too")
    parser.add_argument("--features", type=existing_file, help="VGG16, npz")
    parser.add_argument("--qualities", default="2,3")
    parser.add_argument("--dead_zone", type=float, default=0.0, help="of the codec's encoders")
    parser.add_argument("--every", type=int, default=1, help="picture of the folder")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    models = {str(path): read(path) for path in options.weights}
    for path, model in models.items():
        if codec_of(model) != codec_of(next(iter(models.values()))):
            raise SystemExit(f"error: {path} is of another codec than {options.weights[0]}.")
    judges: dict[str, Judge] = {"PSNR": psnr}
    for path in filter(None, options.networks.split(",")):
        judges[Path(path).stem] = perceptual.lpips(existing_file(path))
    if options.stlpips:
        judges["ST-LPIPS"] = shift_tolerant()
    images = measure.pictures(options.kodak, options.every)
    columns = ["quality", "weights", *judges, *(["Frechet"] if options.features else [])]
    print(f"| {' | '.join(columns)} |")
    print("| --- " * len(columns) + "|")
    for quality in map(float, options.qualities.split(",")):
        found = judged(models, judges, images, quality, options.dead_zone, options.features)
        for name, means in found.items():
            print(f"| {quality:g} | {name} | {' | '.join(f'{m:.4f}' for m in means)} |", flush=True)


if __name__ == "__main__":
    main()
