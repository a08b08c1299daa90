"""Judges decoders of one codec by what they were not trained for.

    python tools/train_torch/judge.py --kodak=KODAK --networks=alex.npz,squeeze.npz --stlpips \
        --dead_zone=0.016 RUN/weights.safetensors OTHER/weights.safetensors

Whole pictures, rounded as their files are read; bits are estimates. Weights may have an encoder of
their own, if their prior is the same. `--networks` are files of LPIPS's weights;
`--stlpips` adds the shift-tolerant one of the package stlpips-pytorch (A. Ghildyal, F. Liu:
"Shift-tolerant Perceptual Similarity Metric", ECCV 2022, arXiv 2207.13686), by AlexNet. Means over
the pictures are printed as a table in Markdown. With `--features`, VGG16's, its last column is the
Frechet distance (M. Heusel et al. 2017, arXiv 1706.08500, equation 6) between the places of 64x64
pixels of all originals and of all decoded pictures, each seen by VGG16's third tap: it does not ask
whether a place looks like its original.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import measure
import numpy as np
import perceptual
import torch
from codec_weights import codec_digest, read_codec
from configuration import Mini2Config
from networks import Mini2
from realistic import tested_picture
from torch import Tensor
from torch.nn import functional
from train import existing_file

Judge = Callable[[Tensor, Tensor], Tensor]
NO_PRIOR = ("synthesis.", "analysis.", "hyper_analysis.", "log_gain")


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


def places(network: perceptual.Distance, picture: Tensor) -> np.ndarray:
    """What VGG16 sees at each place of a picture: float64 [places, channels]."""
    pooled = functional.avg_pool2d(network.taps(picture, 3)[-1], 16)
    return pooled[0].flatten(1).T.double().numpy()


def frechet(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """The distance of two sets of places, each a list of pictures'."""
    one, other = np.concatenate(first), np.concatenate(second)
    a, b = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    # The product of two covariances has real eigenvalues of at least 0, but for rounding.
    common = np.sqrt(np.maximum(np.linalg.eigvals(a @ b).real, 0.0)).sum()
    apart = np.square(one.mean(0) - other.mean(0)).sum()
    return float(apart + np.trace(a) + np.trace(b) - 2 * common)


def read(paths: list[Path]) -> dict[str, Mini2]:
    """Models by their files' names.

    Raises:
      SystemExit: a file holds something else, or another codec than the first.
    """
    models, wanted = {}, ""
    for path in paths:
        settings, state = read_codec(path)
        found = codec_digest(state, without=NO_PRIOR)
        wanted = wanted or found
        if found != wanted:
            raise SystemExit(f"error: {path} is of another codec than {paths[0]}.")
        model = Mini2(Mini2Config(**settings))
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise SystemExit(
                f"error: {path} does not hold the weights of a mini2 ({error})."
            ) from None
        models[str(path)] = model.eval().to(memory_format=torch.channels_last)
    return models


@torch.no_grad()
def judged(
    models: dict[str, Mini2],
    judges: dict[str, Judge],
    network: perceptual.Distance | None,
    images: list[np.ndarray],
    quality: float,
    dead_zone: float,
) -> dict[str, list[float]]:
    """The means of the bits per pixel and of every judge, and Frechet's distance if there is a
    network, by the weights' file."""
    found: dict[str, list[list[float]]] = {name: [] for name in models}
    original: list[np.ndarray] = []
    decoded: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for image in images:
        x = tested_picture(image, "cpu")
        if network is not None:
            original.append(places(network, x))
        for name, model in models.items():
            out = model(x, torch.tensor([quality]), False, dead_zone)
            made = out["picture"].round().clamp(0, 255)
            bits = float(out["bits_y"] + out["bits_z"]) / x[0, 0].numel()
            found[name].append([bits, *(float(judge(x, made)) for judge in judges.values())])
            if network is not None:
                decoded[name].append(places(network, made))
    means = {name: np.mean(values, 0).tolist() for name, values in found.items()}
    if network is not None:
        for name, values in means.items():
            values.append(frechet(original, decoded[name]))
    return means


def existing_files(names: str) -> list[Path]:
    return [existing_file(name) for name in names.split(",")]


def numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def existing_folder(name: str) -> Path:
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder; there is none at {name}")
    return Path(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=existing_file, nargs="+", help="of runs of one codec")
    parser.add_argument("--kodak", type=existing_folder, required=True, help="of PNG or WebP files")
    parser.add_argument(
        "--networks", type=existing_files, default=[], help="of LPIPS, npz, with commas between"
    )
    parser.add_argument("--stlpips", action="store_true", help="the shift-tolerant one too")
    parser.add_argument("--features", type=existing_file, help="VGG16, npz")
    parser.add_argument("--qualities", type=numbers, default=[2.0, 3.0])
    parser.add_argument("--dead_zone", type=float, default=0.0, help="of the codec's encoders")
    parser.add_argument("--every", type=int, default=1, help="so many pictures on, the next")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    models = read(options.weights)
    judges: dict[str, Judge] = {"PSNR": psnr}
    for path in options.networks:
        judges[path.stem] = perceptual.lpips(path)
    if options.stlpips:
        judges["ST-LPIPS"] = shift_tolerant()
    network = perceptual.vgg16(options.features, 3) if options.features else None
    images = measure.pictures(options.kodak, options.every)
    if not images:
        raise SystemExit(f"error: no PNG or WebP file in {options.kodak}.")
    columns = ["quality", "weights", "bpp", *judges, *(["Frechet"] if network is not None else [])]
    print(f"| {' | '.join(columns)} |")
    print("| --- " * len(columns) + "|")
    for quality in options.qualities:
        found = judged(models, judges, network, images, quality, options.dead_zone)
        for name, means in found.items():
            print(f"| {quality:g} | {name} | {' | '.join(f'{m:.4f}' for m in means)} |", flush=True)


if __name__ == "__main__":
    main()
