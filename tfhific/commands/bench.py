"""Times the codec: bench.py [IMAGE]. Medians and ratios, what is compared interleaved.

Encode and decode of a loaded codec, by implementation of the entropy coder; then whole commands
from a cold start, with their peak memory. `--runtime=tensorflow,litert` compares what runs the
networks. `--sizes=2000x1500,4000x3000` instead compares whole
commands on pictures of several sizes: time by the megapixel and peak memory, also with
`--random_weights=hific-lo` for a full-size HiFiC that nobody has trained. `--coding_cost` compares
files' bytes with the float model's estimate, and fails where one takes more than 1 % and 64 bytes
more. `--serving` measures an exported model or a server: latencies at several concurrencies with
the first picture, and single files and batches of 8 against Python with each picture
(`bench.py --serving IMAGE...`).
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence

from absl import flags

from tfhific.commands import common, launcher, paths, runtime
from tfhific.commands.quality import define_quality

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
    flags.DEFINE_list(
        "runtime",
        ["auto"],
        "What runs the networks: tensorflow, litert or auto, the first of them that is installed; "
        "several, separated by commas, are compared.",
    )
    define_quality(None, "; default: the model's own.")
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
    flags.DEFINE_float("timeout", 60.0, "Seconds that a server's answer may take.", 0.001, 1e6)
    flags.DEFINE_multi_string(
        "header", [], "'NAME: VALUE' for the server, or @FILE with lines of them; repeat."
    )
    flags.DEFINE_bool("tls", False, "gRPC over TLS; REST has it by an https:// address.")
    paths.define_path(
        "ca", None, "File of certificates (PEM) that the server's is checked against."
    )
    flags.DEFINE_list("concurrency", ["1", "2", "4", "8"], "So many callers at once.")
    flags.DEFINE_float("seconds", 10.0, "For each of them.", lower_bound=0.1)
    flags.DEFINE_list("size", ["768", "512"], "Width and height of the picture made without IMAGE.")


def _numbers(name: str, count: int | None = None) -> list[int]:
    """A flag's list of positive integers."""
    from tfhific.errors import TfhificError

    texts = FLAGS[name].value
    good = texts and all(text.isdecimal() and int(text) > 0 for text in texts)
    if not good or count not in (None, len(texts)):
        many = "positive integers" if count is None else f"{count} positive integers"
        raise TfhificError(
            f"--{name}: expected {many}, separated by commas. Received: {','.join(texts)}."
        )
    return [int(text) for text in texts]


def _runtimes() -> tuple[str, ...]:
    """Those that `--runtime` means, each once."""
    from tfhific.errors import TfhificError
    from tfhific.runtimes.choice import RUNTIMES, choose

    names = tuple(FLAGS.runtime)
    if not names:
        raise TfhificError(
            f"--runtime: expected auto, {' or '.join(RUNTIMES)}, or several of them. "
            "Received: nothing."
        )
    chosen = tuple(dict.fromkeys(choose(name, RUNTIMES, "bench.py") for name in names))
    only = [flag for flag in ("coding_cost", "serving") if FLAGS[flag].value]
    if only and any(name not in ("auto", "tensorflow") for name in names):
        raise TfhificError(
            f"--{only[0]} measures TensorFlow alone: expected no other --runtime. "
            f"Received: {','.join(names)}."
        )
    return chosen


def _serving(images: Sequence[str]) -> int:
    from absl import logging

    from tfhific.commands.bench_serving import LoadTest, Server, load_test
    from tfhific.errors import TfhificError

    _runtimes()
    server = None
    if FLAGS.server:
        server = Server(FLAGS.server, FLAGS.model, FLAGS.timeout, FLAGS.header, FLAGS.tls, FLAGS.ca)
    elif FLAGS.header or FLAGS.tls or FLAGS.ca:
        raise TfhificError("--header, --tls and --ca are for a server: expected --server=ADDRESS.")
    width, height = _numbers("size", 2)
    test = LoadTest(
        model=FLAGS.model,
        quality=FLAGS.quality,
        pictures=images,
        size=(width, height),
        concurrency=_numbers("concurrency"),
        seconds=FLAGS.seconds,
        runs=FLAGS.runs,
        saved_model=FLAGS.saved_model,
        server=server,
    )
    logging.set_verbosity(logging.ERROR)
    load_test(test)
    return 0


def _measure(model: str, images: Sequence[str]) -> int:
    """What the flags ask for, of a model that is there."""
    from tfhific.commands.bench_commands import Coding, compare_sizes, parse_sizes, time_commands

    sizes = parse_sizes(FLAGS.sizes)
    runtimes = _runtimes()
    coding = Coding(model, FLAGS.precision, FLAGS.quality, FLAGS.runs, runtimes)
    if FLAGS.coding_cost:
        from tfhific.commands.bench_cost import DEFAULT_SIZES, coding_cost

        kept = coding_cost(model, FLAGS.precision, FLAGS.quality, sizes or DEFAULT_SIZES)
        return 0 if kept else 1
    if sizes:
        compare_sizes(sizes, coding)
        return 0
    width, height = _numbers("size", 2)
    if images:
        from tfhific.pictures.images import read_picture

        pixels = read_picture(images[0]).pixels
    else:
        from tfhific.commands.synthetic import synthetic_picture

        pixels = synthetic_picture(width, height)
    _time_codecs(pixels, model, runtimes)
    time_commands(pixels, coding)
    return 0


def _time_codecs(pixels, model: str, runtimes: Sequence[str]) -> None:
    """A loaded codec by runtime and implementation of the entropy coder, in turns."""
    import tfhific
    from tfc_port import coding

    codecs = {}
    for chosen in runtimes:
        # TFC's kernels come with TensorFlow: beside another runtime there is one coder.
        runtime.start(chosen)
        coders = coding.available() if chosen == "tensorflow" else ("python",)
        for coder in coders:
            name = f"{chosen}, coder {coder}" if len(runtimes) > 1 else f"coder {coder}"
            codecs[name] = tfhific.load(
                model, coder=coder, precision=FLAGS.precision, runtime=chosen
            )
    height, width = pixels.shape[:2]
    codec = next(iter(codecs.values()))
    data = codec.compress(pixels, FLAGS.quality)
    made_at = codec.quality_of(data)
    at = "one rate" if made_at is None else f"quality {made_at:g}"
    print(f"{width}x{height}, {at}, {len(data):,} bytes, {os.cpu_count()} cores")
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
            f"{what}, loaded, {name:14} median {statistics.median(values):.3f} s "
            f"(min {min(values):.3f}, max {max(values):.3f}), {ratio:.2f} x {first}"
        )


def bench(argv: list[str]) -> int:
    images = argv[1:]
    if FLAGS.serving:
        return _serving(images)
    if not FLAGS.random_weights:
        return _measure(FLAGS.model, images)
    from tfhific.commands.bench_cost import random_model

    with random_model(FLAGS.random_weights, FLAGS.variant) as folder:
        return _measure(folder, images)


def main(argv: list[str]) -> int:
    positional = None if FLAGS.serving else 1
    return common.guarded(lambda: bench(argv), argv, positional=positional)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
