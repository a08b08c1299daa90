"""What each effort of an encoder costs in time and saves in bits.

    python tools/effort_table.py --model=mini --out=out/effort.csv PICTURES...

For each picture and quality the efforts take turns, so that a machine that is busy for a while is
so for all of them. Rows are added to the CSV file as they are made, and those that it has are not
made again. Of each effort the table has the Bjontegaard difference of bits against effort 1 at
equal PSNR, the mean over pictures, and the processor's seconds that encoding a million pixels took,
summed over all cores.
"""

from __future__ import annotations

import argparse
import csv
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

FIELDS = ("model", "picture", "quality", "effort", "bpp", "psnr", "cpu", "seconds")


def numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def middle(pixels: np.ndarray, side: int) -> np.ndarray:
    """The middle of a picture, at most `side` pixels a side; all of it for 0."""
    if not side:
        return pixels
    top, left = (max(size - side, 0) // 2 for size in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def measured(codec, pixels: np.ndarray, quality: float, effort: int) -> dict[str, float]:
    """Bits, PSNR and time of one file."""
    from tfhific.evaluation.metrics import psnr

    cpu, wall = time.process_time(), time.perf_counter()
    data = codec.compress(pixels, quality, effort=effort)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    area = pixels.shape[0] * pixels.shape[1]
    return {
        "bpp": 8 * len(data) / area,
        "psnr": psnr(pixels, codec.decompress(data)),
        "cpu": cpu / area * 1e6,
        "seconds": wall / area * 1e6,
    }


def table(rows: list[dict], model: str) -> str:
    """Markdown: a line for each effort that has as many files as effort 1 of some picture."""
    from tfhific.evaluation.bjontegaard_delta import rate_difference

    def curve(picture: str, effort: int) -> tuple[list[float], list[float]]:
        own = [r for r in rows if (r["picture"], int(r["effort"])) == (picture, effort)]
        own.sort(key=lambda r: float(r["quality"]))
        return [float(r["bpp"]) for r in own], [float(r["psnr"]) for r in own]

    rows = [row for row in rows if row["model"] == model]
    lines = ["| effort | pictures | bits | CPU seconds a megapixel |", "| --- | --- | --- | --- |"]
    for effort in sorted({int(row["effort"]) for row in rows}):
        found = []
        for picture in sorted({row["picture"] for row in rows}):
            plain, other = curve(picture, 1), curve(picture, effort)
            if len(plain[0]) == len(other[0]) > 1:
                found.append(rate_difference(plain, other).value)
        cpu = np.mean([float(row["cpu"]) for row in rows if int(row["effort"]) == effort])
        if found:
            lines.append(f"| {effort} | {len(found)} | {np.mean(found):+.1f} % | {cpu:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--model", default="mini", help="name or folder of the model")
    parser.add_argument("--out", default="out/effort.csv", help="CSV file of all measurements")
    parser.add_argument("--efforts", type=numbers, default=numbers("1,2,3,4,5,6,7,8,9"))
    parser.add_argument("--qualities", type=numbers, default=numbers("2,4,6"))
    parser.add_argument(
        "--crop", type=int, default=0, help="only the middle, so many pixels a side"
    )
    options = parser.parse_args()

    from tfhific.errors import TfhificError

    try:
        measure(options)
    except TfhificError as error:
        raise SystemExit(f"error: {error}") from None


def measure(options: argparse.Namespace) -> None:
    """Adds what is not measured yet to the CSV file, and prints the table."""
    import tfhific
    from tfhific.pictures.images import read_picture

    codec = tfhific.load(options.model)
    out = pathlib.Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(out.open())) if out.exists() else []
    done = {(r["model"], r["picture"], float(r["quality"]), int(r["effort"])) for r in rows}
    # What is only done once a process, before any time is taken.
    codec.compress(np.zeros([64, 64, 3], np.uint8))
    with out.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not rows:
            writer.writeheader()
        for path in map(pathlib.Path, options.pictures):
            pixels = middle(read_picture(path).pixels, options.crop)
            for quality in options.qualities:
                for effort in map(int, options.efforts):
                    if (codec.name, path.stem, quality, effort) in done:
                        continue
                    head = {"model": codec.name, "picture": path.stem, "quality": quality}
                    row = {**head, "effort": effort, **measured(codec, pixels, quality, effort)}
                    writer.writerow(row)
                    file.flush()
                    rows.append({name: str(value) for name, value in row.items()})
    print(table(rows, codec.name))


if __name__ == "__main__":
    main()
