"""What coding costs in bytes beyond the model's own estimate, and a model to measure untrained."""

from __future__ import annotations

import concurrent.futures.process
import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence

from tfhific.commands import common
from tfhific.commands.bench_commands import Size
from tfhific.commands.synthetic import synthetic_picture
from tfhific.errors import TfhificError

DEFAULT_SIZES: tuple[Size, ...] = ((256, 256), (512, 512), (768, 512), (301, 422))


def coding_cost(model: str, precision: str, quality: float | None, sizes: Sequence[Size]) -> bool:
    """Prints files' bytes over what the float model's probabilities come to.

    Args:
      model: name or folder.
      precision: arithmetic of the picture networks.
      quality: of the files.
      sizes: of the crops of one picture.

    Returns:
      Whether no file takes more than 1 % and 64 bytes more than the estimate.
    """
    common.start_tensorflow()
    import tfhific

    codec = tfhific.load(model, precision=precision)
    whole = synthetic_picture(
        max(768, *(width for width, _ in sizes)), max(512, *(height for _, height in sizes))
    )
    kept = True
    for width, height in sizes:
        pixels = whole[:height, :width]
        found = len(codec.compress(pixels, quality))
        estimate = codec.estimate_bpp(pixels, quality) * width * height / 8
        over = found - estimate
        kept = kept and over <= 0.01 * estimate + 64
        print(
            f"{width}x{height}: {found:,} bytes, estimate {estimate:,.0f} "
            f"({8 * estimate / (width * height):.3f} bits per pixel), {over:+.0f} bytes, "
            f"{100 * over / estimate:+.2f} %"
        )
    return kept


@contextlib.contextmanager
def random_model(preset: str, variant: str) -> Iterator[str]:
    """The folder of HiFiC with random weights, whose files are about as large as a trained one's.

    Args:
      preset: name of one of the configurations of `hific`.
      variant: `official` or `pytorch`.

    Raises:
      TfhificError: there is no such configuration, or it can't be made.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = os.path.join(made, preset)
        # In a process of its own, whose memory goes with it.
        context = multiprocessing.get_context("spawn")
        try:
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                pool.submit(_make_random, folder, preset, variant).result()
        except concurrent.futures.process.BrokenProcessPool:
            raise TfhificError(
                f"{preset}: the process that makes this model was ended; is there memory for it?"
            ) from None
        yield folder


def _make_random(folder: str, preset: str, variant: str) -> None:
    common.quiet_tensorflow()
    import dataclasses

    from tfhific.evaluation.random_hific import random_hific
    from tfhific.published.store import save_model
    from tfhific.publishing.hyperprior import publish
    from tfhific.systems import configuration

    config = configuration("hific", {"variant": variant}, preset)
    config = dataclasses.replace(config, adversary="none")
    model = random_hific(config, synthetic_picture(768, 512), config.target_bpp)
    save_model(publish(model, preset, half=False), folder)
