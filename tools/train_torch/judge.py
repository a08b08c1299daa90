"""Judges decoders of one codec by what they were not trained for.

    python tools/train_torch/judge.py --kodak=KODAK --networks=alex.npz,squeeze.npz --stlpips \
        --dead_zone=0.016 RUN/weights.safetensors OTHER/weights.safetensors

Whole pictures, rounded as their files are read. `--networks` are files of LPIPS's weights;
`--stlpips` adds the shift-tolerant one of the package stlpips-pytorch (A. Ghildyal, F. Liu:
"Shift-tolerant Perceptual Similarity Metric", ECCV 2022, arXiv 2207.13686), by AlexNet. Means over
the pictures are printed as a table in Markdown.
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
) -> dict[str, list[float]]:
    """The means of every judge, by the decoder's name."""
    found: dict[str, list[list[float]]] = {name: [] for name in models}
    for image in images:
        height, width = (side // smallest_side() * smallest_side() for side in image.shape[:2])
        x = on_device(image[None, :height, :width], "cpu")
        first = next(iter(models.values()))
        code = coded(first, x, torch.tensor([quality]), dead_zone)
        for name, model in models.items():
            made = pixels(model.synthesis, code).round().clamp(0, 255)
            found[name].append([float(judge(x, made)) for judge in judges.values()])
    return {name: np.mean(values, 0).tolist() for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=existing_file, nargs="+", help="of runs of one codec")
    parser.add_argument("--kodak", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--networks", default="", help="of LPIPS, npz, with commas between")
    parser.add_argument("--stlpips", action="store_true", help="the shift-tolerant one too")
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
    print(f"| quality | weights | {' | '.join(judges)} |")
    print("| --- " * (2 + len(judges)) + "|")
    for quality in map(float, options.qualities.split(",")):
        found = judged(models, judges, images, quality, options.dead_zone)
        for name, means in found.items():
            print(f"| {quality:g} | {name} | {' | '.join(f'{m:.4f}' for m in means)} |", flush=True)


if __name__ == "__main__":
    main()
