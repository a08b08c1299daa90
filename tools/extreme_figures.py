"""Makes docs/extreme: curves and sample pictures of trained extreme codecs.

    extreme_figures.py gc OUT --models=A,B --pictures=DIR --lpips=FILE
    extreme_figures.py sc OUT --models=A --pictures=DIR --labels=DIR --keep=car --lpips=FILE
    extreme_figures.py inversion OUT --models=A --digits=DIR

Models are folders. Each writes OUT/<kind>.csv, the curve OUT/<kind>-curve.png, and the samples
OUT/<kind>.png (for inversion also OUT/inversion-steps.png).
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from typing import Any

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from PIL import Image

import tfhific
from tfhific.bitstream.kept import Kept
from tfhific.bitstream.label_map import read_label_map
from tfhific.codec.inversion_search import SearchOptions
from tfhific.data.folders import list_images
from tfhific.evaluation import classical
from tfhific.evaluation.metrics import ms_ssim, psnr
from tfhific.pictures.images import read_picture

CLASSICAL = {"JPEG": (1, 2, 5, 10), "WebP": (1, 2, 5, 10)}
ENCODERS: dict[str, Any] = {"JPEG": classical.encode_jpeg, "WebP": classical.encode_webp}
COLOURS = np.array(
    [
        [70, 130, 180], [128, 64, 64], [190, 190, 190], [128, 64, 128], [244, 35, 232],
        [60, 120, 40], [220, 220, 0], [100, 100, 150], [0, 0, 142], [220, 20, 60], [119, 11, 32],
        [0, 0, 0],
    ],
    np.uint8,
)  # fmt: skip


class Measures:
    """PSNR, MS-SSIM and LPIPS of pairs of pictures."""

    def __init__(self, lpips: str | None) -> None:
        from tfhific.losses.lpips import LPIPS

        self._lpips = LPIPS(lpips) if lpips else None

    def __call__(self, a: np.ndarray, b: np.ndarray) -> dict[str, float]:
        found = {"psnr": psnr(a, b), "ms_ssim": ms_ssim(a, b)}
        if self._lpips is not None:
            pair = tuple(x[None].astype(np.float32) / 127.5 - 1.0 for x in (a, b))
            found["lpips"] = float(self._lpips(pair)[0])
        return found


def classical_rows(images: list[np.ndarray], measure) -> list[dict]:
    """Points of JPEG and WebP at their lowest qualities."""
    rows = []
    for name, qualities in CLASSICAL.items():
        for quality in qualities:
            files = [ENCODERS[name](image, quality) for image in images]
            pairs = [(image, classical.decode(data)) for image, data in zip(images, files)]
            rows.append(_row(f"{name} {quality}", images, files, pairs, measure))
    return rows


def _row(name: str, images, files, pairs, measure) -> dict:
    pixels = sum(image.shape[0] * image.shape[1] for image in images)
    values = [measure(a, b) for a, b in pairs]
    means = {key: float(np.mean([value[key] for value in values])) for key in values[0]}
    sizes = [len(data) for data in files]
    return {"name": name, "bytes": np.mean(sizes), "bpp": 8 * sum(sizes) / pixels, **means}


def write(out: str, kind: str, rows: list[dict], x: str = "bpp") -> None:
    """The table and its curves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with open(os.path.join(out, f"{kind}.csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
    measures = [key for key in ("psnr", "ms_ssim", "lpips") if key in rows[0]]
    figure, axes = plt.subplots(1, len(measures), figsize=(4.2 * len(measures), 3.6))
    for axis, key in zip(np.atleast_1d(axes), measures):
        for group in dict.fromkeys(row["name"].split(" ")[0] for row in rows):
            own = [row for row in rows if row["name"].split(" ")[0] == group]
            axis.plot([r[x] for r in own], [r[key] for r in own], "o-", label=group, markersize=4)
        axis.set_xlabel({"bpp": "bits per pixel", "steps": "search steps"}[x])
        axis.set_ylabel({"psnr": "PSNR, dB", "ms_ssim": "MS-SSIM", "lpips": "LPIPS"}[key])
        axis.grid(alpha=0.3)
    np.atleast_1d(axes)[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(os.path.join(out, f"{kind}-curve.png"), dpi=80)
    for row in rows:
        print("  ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()))


def _nearest_classical(image: np.ndarray) -> list[np.ndarray]:
    return [classical.decode(ENCODERS[name](image, 1)) for name in CLASSICAL]


def gc(options) -> None:
    """GC against JPEG and WebP."""
    measure = Measures(options.lpips)
    paths = list_images(options.pictures)
    images = [read_picture(path).pixels for path in paths]
    rows, shown = [], {}
    for folder in options.models:
        codec: Any = tfhific.load(folder)
        files = [codec.compress(image) for image in images]
        for image, data in zip(images, files):
            if not codec.holds(data, image):
                raise SystemExit("a file does not hold its picture's code")
        decoded = [codec.decompress(data) for data in files]
        rows.append(_row(codec.name, images, files, list(zip(images, decoded)), measure))
        bounds = [codec.bound_bits(image.shape[:2]) / 8 for image in images]
        smaller = sum(len(data) < bound for data, bound in zip(files, bounds))
        print(f"{codec.name}: {smaller} of {len(files)} files below the bound of {bounds[0]:.0f}")
        shown[codec.name] = decoded
    write(options.out, "gc", [*rows, *classical_rows(images, measure)])
    columns = []
    for number in options.show:
        image = images[number]
        column = [image, *(decoded[number] for decoded in shown.values())]
        columns.append(np.concatenate([*column, *_nearest_classical(image)], 1))
    _save(np.concatenate(columns), os.path.join(options.out, "gc.png"), 0.5)


def sc(options) -> None:
    """SC: kept regions against synthesised ones, and the map's share of the bits."""
    measure = Measures(options.lpips)
    codec: Any = tfhific.load(options.models[0])
    names = codec.published.decoding["class_names"]
    kept = Kept(tuple(names.index(name) for name in options.keep))
    rows, columns = [], []
    for number, path in enumerate(list_images(options.pictures)):
        image = read_picture(path).pixels
        stem = os.path.splitext(os.path.basename(path))[0]
        labels = read_label_map(
            os.path.join(options.labels, stem + ".png"), image.shape[:2], codec.classes
        )
        if not kept.pixels(labels).any():
            continue
        data = codec.compress(image, labels=labels, kept=kept)
        contents = codec.unpack(data)
        decoded = codec.decompress(data)
        if not np.array_equal(codec.decode_labels(data), labels) or not codec.holds(data, image):
            raise SystemExit("a file does not hold its label map and code")
        blocks = np.kron(codec.kept_places(contents, labels), np.ones([16, 16], bool))
        region = blocks[: image.shape[0], : image.shape[1]].astype(bool)
        error = (decoded.astype(float) - image) ** 2
        # The same region, made up like the rest: what keeping it has bought.
        shape = codec.latent_size(image.shape[:2])
        nothing = np.zeros([*shape, codec.channels], np.int32), np.zeros(shape, bool)
        made_up = codec.generate(*nothing, labels, image.shape[:2])
        unkept = (made_up.astype(float) - image) ** 2
        rows.append(
            {
                "name": stem,
                "bytes": len(data),
                "map_bytes": len(contents.labels),
                "code_bytes": len(contents.y),
                "kept_share": float(region.mean()),
                "kept_psnr": 10 * np.log10(255**2 / error[region].mean()),
                "kept_region_if_synthesised_psnr": 10 * np.log10(255**2 / unkept[region].mean()),
                "synthesised_psnr": 10 * np.log10(255**2 / error[~region].mean()),
                **measure(image, decoded),
            }
        )
        if number in options.show:
            outlined = decoded.copy()
            edge = region ^ (np.roll(region, 1, 0) & np.roll(region, 1, 1) & region)
            outlined[edge] = (255, 220, 0)
            columns.append(np.concatenate([image, COLOURS[labels % 12], decoded, outlined], 1))
    with open(os.path.join(options.out, "sc.csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
    for key in list(rows[0])[1:]:
        print(key, round(float(np.mean([row[key] for row in rows])), 4))
    _save(np.concatenate(columns), os.path.join(options.out, "sc.png"), 0.5)


def inversion(options) -> None:
    """Quality of inverted digits against bits and against steps."""
    from tfhific.data.idx import read_digits

    measure = Measures(None)
    codec: Any = tfhific.load(options.models[0])
    digits = read_digits(options.digits, "test").images[: options.count, ..., None]
    images = [digit.repeat(3, -1) for digit in digits]

    def run(name: str, search: SearchOptions) -> tuple[dict, list]:
        files, decoded, fixed = [], [], codec.latent * search.bits / 8
        payloads = []
        for image in images:
            levels, label, _ = codec.invert(image, search)
            payloads.append(codec.payload_bytes(levels, search.bits))
            files.append(codec.pack(levels, search.bits, label, image.shape[:2]))
            decoded.append(codec.decompress(files[-1]))
        row = _row(name, images, payloads_as_files(payloads), list(zip(images, decoded)), measure)
        file_bytes = float(np.mean([len(data) for data in files]))
        return {**row, "fixed_bytes": fixed, "file_bytes": file_bytes}, decoded

    rows, shown = [], []
    for bits in range(1, 9):
        row, decoded = run(f"z {bits}", SearchOptions(bits=bits, steps=options.steps))
        rows.append(row)
        if bits in (1, 2, 4, 8):
            shown.append(decoded)
    for row in classical_rows(images, measure):
        rows.append({**row, "fixed_bytes": row["bytes"], "file_bytes": row["bytes"]})
    write(options.out, "inversion", rows)
    grid = [np.concatenate(column[:10], 1) for column in (images, *shown)]
    _save(np.concatenate(grid), os.path.join(options.out, "inversion.png"), 2)
    rows = []
    for guess in (True, False):
        for steps in (0, 10, 30, 100, 300):
            name = f"{'guess' if guess else 'random'} {steps}"
            search = SearchOptions(bits=6, steps=steps, guess=guess)
            rows.append({**run(name, search)[0], "steps": steps})
    write(options.out, "inversion-steps", rows, "steps")


def payloads_as_files(sizes: list[int]) -> list[bytes]:
    """Stand-ins of so many bytes."""
    return [bytes(size) for size in sizes]


def _save(pixels: np.ndarray, path: str, factor: float) -> None:
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    method = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    Image.fromarray(pixels).resize(size, method).quantize(256).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["gc", "sc", "inversion"])
    parser.add_argument("out")
    parser.add_argument("--models", type=lambda text: text.split(","), required=True)
    parser.add_argument("--pictures")
    parser.add_argument("--labels")
    parser.add_argument("--digits")
    parser.add_argument("--keep", type=lambda text: text.split(","), default=["car"])
    parser.add_argument("--lpips")
    parser.add_argument("--show", type=lambda text: [int(n) for n in text.split(",")], default=[1])
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    {"gc": gc, "sc": sc, "inversion": inversion}[options.kind](options)


if __name__ == "__main__":
    main()
