"""Times full-size HiFiC here and in PyTorch, in turns: python tests/interop/bench_torch.py.

Needs torch. For each: medians over the runs of the time that passes and of the processor's time,
and the ratio to PyTorch in float32. Random weights; a network's time does not depend on them.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pathlib
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))


def _torch_networks(blocks: int):
    spec = importlib.util.spec_from_file_location("torch_hific", HERE / "torch_hific.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    widths = (60, 120, 240, 480, 960)
    return module.HiFiC(widths, 220, 320, blocks, discriminator=()).eval()


def _inference(theirs, ours, size: tuple[int, int]) -> dict:
    """What to time, by name: encoder and generator on a picture of that size."""
    import tensorflow as tf
    import torch

    from tfhific.publishing.fold import fold

    height, width = size
    image, y = (height, width, 3), (height // 16, width // 16, 220)
    work = {}
    for name, network, shape in (
        ("encoder", theirs.Encoder, image),
        ("generator", theirs.Generator, y),
    ):
        folded = fold(getattr(ours, name), name)
        x = torch.rand(1, shape[2], *shape[:2])

        def in_torch(network=network, x=x):
            with torch.inference_mode():
                network(x)

        work[name, "PyTorch float32"] = in_torch
        for precision in ("float32", "bfloat16"):
            values = tf.cast(tf.random.uniform([1, *shape]), precision)
            work[name, precision] = lambda f=folded, v=values: f(v).shape
    return work


def _training(theirs, ours, side: int) -> dict:
    """Forward and backward through all networks of the compressor, one picture."""
    import tensorflow as tf
    import torch

    def in_torch() -> None:
        theirs.zero_grad()
        y = theirs.Encoder(torch.rand(1, 3, side, side))
        z = theirs.Hyperprior.analysis_net(y)
        latents = theirs.Hyperprior.synthesis_mu(z), theirs.Hyperprior.synthesis_std(z)
        loss = theirs.Generator(y).square().mean() + sum(v.square().mean() for v in latents)
        loss.backward()

    networks = ("encoder", "generator", "hyper_analysis", "hyper_synthesis_mean")
    parts = [getattr(ours, name) for name in (*networks, "hyper_synthesis_scale")]
    variables = [v for part in parts for v in part.trainable_variables]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            y = ours.encoder(tf.random.uniform([1, side, side, 3]))
            z = ours.hyper_analysis(y)
            latents = ours.hyper_synthesis_mean(z), ours.hyper_synthesis_scale(z)
            loss = tf.reduce_mean(tf.square(ours.generator(y)))
            loss += sum(tf.reduce_mean(tf.square(v)) for v in latents)
        return tf.linalg.global_norm(tape.gradient(loss, variables))

    return {("step", "PyTorch float32"): in_torch, ("step", "float32"): step}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--crop", type=int, default=256, help="of the training step; 0 for none")
    parser.add_argument("--blocks", type=int, default=9)
    options = parser.parse_args()

    import tensorflow as tf
    import torch

    from tfhific.models.hific import HiFiC, HiFiCConfig

    theirs = _torch_networks(options.blocks)
    config = HiFiCConfig(variant="pytorch", residual_blocks=options.blocks, adversary="none")
    ours = HiFiC(config)
    print(f"torch {torch.__version__}, tensorflow {tf.__version__}, {os.cpu_count()} cores")
    work = _inference(theirs, ours, (options.height, options.width))
    if options.crop:
        work.update(_training(theirs, ours, options.crop))
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for run in range(options.runs + 1):
        for key, call in work.items():
            passed, busy = time.perf_counter(), time.process_time()
            call()
            if run:
                spent = time.perf_counter() - passed, time.process_time() - busy
                times.setdefault(key, []).append(spent)
    for (what, how), values in times.items():
        reference = times[what, "PyTorch float32"]
        ratios = [
            statistics.median(own[i] / other[i] for own, other in zip(values, reference))
            for i in (0, 1)
        ]
        passed, busy = (statistics.median(column) for column in zip(*values))
        print(
            f"{what:10} {how:16} {passed:7.2f} s, {busy:7.2f} s of processor time: "
            f"{ratios[0]:.2f} and {ratios[1]:.2f} x PyTorch"
        )


if __name__ == "__main__":
    main()
