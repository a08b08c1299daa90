"""Times the codec: bench.py [IMAGE]. Medians and ratios, what is compared interleaved.

Encode and decode of a loaded codec, by implementation of the entropy coder; then whole commands
from a cold start, with their peak memory. `--sizes=2000x1500,4000x3000` instead compares whole
commands on pictures of several sizes: time by the megapixel and peak memory, also with
`--random_weights=hific-lo` for a full-size HiFiC that nobody has trained. `--coding_cost` compares
files' bytes with the float model's estimate, and fails where one takes more than 1 % and 64 bytes
more. `--serving` measures an exported model or a server: latencies at several concurrencies with
the first picture, and single files and batches of 8 against Python with each picture
(`bench.py --serving IMAGE...`).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import flags

from tfhific.commands import common, launcher, paths

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("model", "mini", "Name or folder of the model.")
    flags.DEFINE_string(
        "random_weights",
        None,
        "Instead of --model, hific of this configuration, such as hific-lo, with random weights.",
    )
    flags.DEFINE_enum("variant", "pytorch", ["official", "pytorch"], "Of --random_weights.")
    flags.DEFINE_enum("precision", "float32", ["float32", "bfloat16"], "Of the picture networks.")
    flags.DEFINE_float("quality", 5.0, "1 to 8.", 1.0, 8.0)
    flags.DEFINE_integer("runs", 7, "Timed runs of each.", lower_bound=1)
    flags.DEFINE_bool("loaded", True, "Also time a loaded codec, not whole commands alone.")
    flags.DEFINE_list(
        "sizes", [], "Compare whole commands on pictures of these sizes, such as 4000x3000."
    )
    flags.DEFINE_bool(
        "coding_cost", False, "Files' bytes over the estimate instead, on crops of --sizes."
    )
    flags.DEFINE_bool("serving", False, "Load test of an exported model instead.")
    paths.define_path("saved_model", None, "Folder that export.py wrote; default: made anew.")
    flags.DEFINE_string("server", None, "Test a server: HOST:PORT (gRPC) or http://HOST:PORT.")
    flags.DEFINE_list("concurrency", ["1", "2", "4", "8"], "So many callers at once.")
    flags.DEFINE_float("seconds", 10.0, "For each of them.", lower_bound=0.1)
    flags.DEFINE_list("size", ["768", "512"], "Width and height of the picture made without IMAGE.")


def _picture(width: int, height: int):
    """A smooth picture with texture and edges, uint8 [height, width, 3]."""
    import numpy as np

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = sum(
        np.sin(2 * np.pi * (x * rng.normal(0, 0.02) + y * rng.normal(0, 0.02)) + phase)
        for phase in rng.uniform(0, 6, 24)
    )
    grain = rng.normal(0, 6, [height, width]) * (x > width // 2)
    base = 128 + 12 * waves + grain + 40 * ((x // 64 + y // 64) % 2)
    colour = base[..., None] + 20 * np.stack([np.sin(x / 90), np.cos(y / 70), np.sin(y / 50)], -1)
    return np.clip(colour, 0, 255).astype(np.uint8)


# A new process counts the memory of the one that started it among its own peak: this one, which has
# made pictures. So a small one starts it.
_SMALL = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
busy = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024, busy]))
"""


def _command(script: str, *arguments: str) -> tuple[float, float, float]:
    """Seconds, peak memory (MiB) and processor seconds of a script in a new process."""
    arguments = (*arguments, f"--precision={FLAGS.precision}")
    started = time.perf_counter()
    line = [
        sys.executable,
        "-S",
        "-c",
        _SMALL,
        sys.executable,
        "-m",
        f"tfhific.commands.{script}",
        *arguments,
    ]
    done = subprocess.run(line, stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - started
    code, memory, busy = json.loads(done.stdout)
    if code:
        raise subprocess.CalledProcessError(code, script)
    return seconds, memory, busy


def _make_random(folder: str, preset: str, variant: str) -> None:
    """Publishes HiFiC with random weights, whose files are about as large as a trained one's."""
    common.quiet_tensorflow()
    import dataclasses

    from tfhific.evaluation.random_hific import random_hific
    from tfhific.published.hyperprior import save_model
    from tfhific.publishing.hyperprior import publish
    from tfhific.systems import configuration

    config = configuration("hific", {"variant": variant}, preset)
    config = dataclasses.replace(config, adversary="none")
    model = random_hific(config, _picture(768, 512), config.target_bpp)
    save_model(publish(model, preset, half=False), folder)


def _sizes() -> list[tuple[int, int]]:
    from tfhific.errors import TfhificError

    try:
        pairs: list[Any] = [tuple(map(int, size.split("x"))) for size in FLAGS.sizes]
    except ValueError:
        pairs = [()]
    if not all(len(pair) == 2 and min(pair) > 0 for pair in pairs):
        raise TfhificError(
            "--sizes: expected widths and heights such as 2000x1500,4000x3000. "
            f"Received: {','.join(FLAGS.sizes)}."
        )
    return pairs


def _bench_sizes(sizes: list[tuple[int, int]]) -> int:
    """Whole commands on pictures of several sizes, in turns."""
    from tfhific.pictures.images import write_png

    results: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        image, packed, back = (os.path.join(folder, n) for n in ("{}.png", "{}.tfh", "{}.out.png"))
        for number, size in enumerate(sizes):
            write_png(_picture(*size), image.format(number))
        options = (f"--model={FLAGS.model}", f"--max_pixels={max(w * h for w, h in sizes)}")
        for _ in range(FLAGS.runs):
            for number in range(len(sizes)):
                source, coded, out = (path.format(number) for path in (image, packed, back))
                quality = f"--quality={FLAGS.quality}"
                compress = _command("compress", source, coded, *options, quality, "--overwrite")
                decompress = _command("decompress", coded, out, *options, "--overwrite")
                results.setdefault(("compress", number), []).append(compress)
                results.setdefault(("decompress", number), []).append(decompress)
    for (script, number), values in results.items():
        width, height = sizes[number]
        seconds, memory, busy = (statistics.median(column) for column in zip(*values))
        millions = width * height / 1e6
        print(
            f"bin/{script}, {width}x{height}, {millions:.1f} megapixels: {seconds:.1f} s, "
            f"{seconds / millions:.2f} s a megapixel, {busy / millions:.2f} s of processor time a "
            f"megapixel, peak {memory:.0f} MiB"
        )
    return 0


def _coding_cost(sizes: list[tuple[int, int]]) -> int:
    """Bytes of files over what the float model's probabilities come to."""
    common.start_tensorflow()
    import tfhific

    codec = tfhific.load(FLAGS.model, precision=FLAGS.precision)
    whole = _picture(max(768, *(w for w, _ in sizes)), max(512, *(h for _, h in sizes)))
    kept = True
    for width, height in sizes:
        pixels = whole[:height, :width]
        found = len(codec.compress(pixels, FLAGS.quality))
        estimate = codec.estimate_bpp(pixels, FLAGS.quality) * width * height / 8
        over = found - estimate
        kept = kept and over <= 0.01 * estimate + 64
        print(
            f"{width}x{height}: {found:,} bytes, estimate {estimate:,.0f} "
            f"({8 * estimate / (width * height):.3f} bits per pixel), {over:+.0f} bytes, "
            f"{100 * over / estimate:+.2f} %"
        )
    return 0 if kept else 1


def _bench_random(argv: list[str]) -> int:
    import multiprocessing

    preset, FLAGS.random_weights = FLAGS.random_weights, None
    with tempfile.TemporaryDirectory() as folder:
        FLAGS.model = os.path.join(folder, preset)
        # In a process of its own, whose memory goes with it.
        process = multiprocessing.get_context("spawn").Process(
            target=_make_random, args=(FLAGS.model, preset, FLAGS.variant)
        )
        process.start()
        process.join()
        if process.exitcode:
            return 1
        return bench(argv)


def bench(argv: list[str]) -> int:
    import tfhific
    from tfc_port import coding
    from tfhific.pictures.images import read_picture, write_png

    if FLAGS.random_weights:
        return _bench_random(argv)
    if FLAGS.coding_cost:
        return _coding_cost(_sizes() or [(256, 256), (512, 512), (768, 512), (301, 422)])
    if FLAGS.sizes:
        return _bench_sizes(_sizes())
    common.start_tensorflow()
    if len(argv) > 1:
        pixels = read_picture(argv[1]).pixels
    else:
        pixels = _picture(*map(int, FLAGS.size))
    height, width = pixels.shape[:2]
    codecs = {
        name: tfhific.load(FLAGS.model, coder=name, precision=FLAGS.precision)
        for name in coding.available()
    }
    data = next(iter(codecs.values())).compress(pixels, FLAGS.quality)
    print(
        f"{width}x{height}, quality {FLAGS.quality:g}, {len(data):,} bytes, {os.cpu_count()} cores"
    )
    times: dict[tuple[str, str], list[float]] = {}
    for run in range(FLAGS.runs + 1 if FLAGS.loaded else 0):
        for name, codec in codecs.items():
            started = time.perf_counter()
            codec.compress(pixels, FLAGS.quality)
            middle = time.perf_counter()
            codec.decompress(data)
            if run:
                times.setdefault((name, "encode"), []).append(middle - started)
                times.setdefault((name, "decode"), []).append(time.perf_counter() - middle)
    first = next(iter(codecs))
    for (name, what), values in times.items():
        ratio = statistics.median(own / other for own, other in zip(values, times[first, what]))
        print(
            f"{what}, loaded, coder {name:8} median {statistics.median(values):.3f} s "
            f"(min {min(values):.3f}, max {max(values):.3f}), {ratio:.2f} x {first}"
        )
    with tempfile.TemporaryDirectory() as folder:
        image, packed, back = (os.path.join(folder, n) for n in ("a.png", "a.tfh", "b.png"))
        write_png(pixels, image)
        results: dict[str, list[tuple[float, float, float]]] = {}
        model = f"--model={FLAGS.model}"
        for _ in range((FLAGS.runs + 1) // 2):
            compress = _command("compress", image, packed, model, "--overwrite")
            decompress = _command("decompress", packed, back, model, "--overwrite")
            results.setdefault("compress", []).append(compress)
            results.setdefault("decompress", []).append(decompress)
    for script, runs in results.items():
        seconds, memory, _ = (statistics.median(column) for column in zip(*runs))
        print(f"bin/{script}, whole process: median {seconds:.2f} s, peak {memory:.0f} MiB")
    return 0


def _served(png: bytes, data: bytes, folder: str):
    """Calls of a server, or of an export in this process, by name; and that export, or None."""
    if FLAGS.server:
        import tfhific

        client_folder = os.path.join(os.path.dirname(tfhific.__file__), "..", "clients/python")
        sys.path.insert(0, os.path.abspath(client_folder))
        import tfh_client

        client = tfh_client.client_for(FLAGS.server, FLAGS.model)
        return {
            "compress": lambda: tfh_client.compress(client, png, FLAGS.quality),
            "decompress": lambda: tfh_client.decompress(client, data),
        }, None
    from tfhific.serving import pipeline

    started = time.perf_counter()
    model = pipeline.SavedModel(folder)
    print(f"{folder}: loaded in {time.perf_counter() - started:.2f} s")
    return {
        "compress": lambda: model.compress([png], FLAGS.quality),
        "decompress": lambda: model.decompress([data]),
    }, model


def _serving(argv: list[str]) -> int:
    from absl import logging

    import tfhific
    from tfhific.pictures.images import encode_png, read_picture
    from tfhific.serving.load import measure

    logging.set_verbosity(logging.ERROR)
    common.start_tensorflow()
    if len(argv) > 1:
        pictures = [read_picture(path).pixels for path in argv[1:]]
    else:
        pictures = [_picture(*map(int, FLAGS.size))]
    codec = tfhific.load(FLAGS.model)
    pairs = [(encode_png(each), codec.compress(each, FLAGS.quality)) for each in pictures]
    png, data = pairs[0]
    with tempfile.TemporaryDirectory() as made:
        folder = FLAGS.saved_model
        if not folder and not FLAGS.server:
            from tfhific.serving.export import export

            folder = export(codec.published, made, warmup=False)
        calls, model = _served(png, data, folder)
        height, width = pictures[0].shape[:2]
        print(f"{width}x{height}, {len(data):,} bytes, {os.cpu_count()} cores")
        for name, call in calls.items():
            call()
            for concurrency in map(int, FLAGS.concurrency):
                print(f"{name}, {measure(call, concurrency, FLAGS.seconds).line()}")
        if model is not None:
            _against_python(codec, model, pairs)
    return 0


def _against_python(codec, model, pictures: list[tuple[bytes, bytes]]) -> None:
    """Batches of 8, and single files, by the SavedModel and by the Python codec, in turns."""
    from tfhific.pictures.images import encode_png, read_picture

    def python_compress(png: bytes, data: bytes, count: int) -> None:
        for _ in range(count):
            codec.compress_picture(read_picture(png), FLAGS.quality)

    def python_decompress(png: bytes, data: bytes, count: int) -> None:
        for _ in range(count):
            encode_png(codec.decompress_picture(data))

    ways = {
        "compress": (
            python_compress,
            lambda png, data, count: model.compress([png] * count, FLAGS.quality),
        ),
        "decompress": (
            python_decompress,
            lambda png, data, count: model.decompress([data] * count),
        ),
    }
    for name, both in ways.items():
        for count in (1, 8):
            ratios, medians = [], []
            for picture in pictures:
                times = _in_turns(both, picture, count)
                ratios.append(statistics.median(own / plain for plain, own in zip(*times)))
                medians.append([statistics.median(values) for values in times])
            python, served = (statistics.median(column) for column in zip(*medians))
            each = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
            print(
                f"{name}, {count} at a time: Python codec median {python:.3f} s each, SavedModel "
                f"{served:.3f} s each, {statistics.median(ratios):.2f} x Python{each}"
            )


def _in_turns(ways, picture: tuple[bytes, bytes], count: int) -> list[list[float]]:
    """Seconds a picture of each way, run by run; an untimed run before them warms up."""
    times: list[list[float]] = [[] for _ in ways]
    for run in range(FLAGS.runs + 1):
        for way, values in zip(ways, times):
            started = time.perf_counter()
            way(*picture, count)
            if run:
                values.append((time.perf_counter() - started) / count)
    return times


def main(argv: list[str]) -> int:
    work = _serving if FLAGS.serving else bench
    positional = None if FLAGS.serving else 1
    return common.guarded(lambda: work(argv), argv, positional=positional)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
