"""Measures one picture through one codec at one point; runs in the evaluation's own processes."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from tfhific.errors import TfhificError
from tfhific.evaluation.codecs import (
    CodecSpec,
    PictureCodec,
    RateEstimator,
    Setting,
    format_setting,
    open_codec,
)
from tfhific.evaluation.features import FeatureSpec
from tfhific.evaluation.matching import Target, match
from tfhific.evaluation.metrics import ms_ssim, psnr, psnr_y
from tfhific.evaluation.results import Row
from tfhific.files.atomic import write_atomically
from tfhific.pictures.images import read_picture


@dataclasses.dataclass(frozen=True)
class Image:
    """A picture of the set.

    Attributes:
      path: where it is.
      name: its path below the data folder.
      digest: of its file.
      width: pixels.
      height: pixels.
    """

    path: str
    name: str
    digest: str
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class Task:
    """One row to measure: a picture, a codec, and a setting or a target.

    Attributes:
      probe: whether the codec's peak memory is measured on it.
    """

    image: Image
    spec: CodecSpec
    setting: Setting | None = None
    target: Target | None = None
    probe: bool = False

    @property
    def point(self) -> str:
        """How messages call the setting or target."""
        if self.target is not None:
            return str(self.target)
        return "" if self.setting is None else format_setting(self.setting)


@dataclasses.dataclass(frozen=True)
class Failure:
    """A row that could not be measured, and why."""

    image: str
    codec: str
    point: str
    message: str


@dataclasses.dataclass(frozen=True)
class Context:
    """What all tasks of an evaluation share.

    Attributes:
      out: folder of the outputs.
      lpips: npz file of LPIPS weights, or None.
      lpips_label: name and digest of that file, or empty.
      features: the network of Frechet distances, or None.
      keep_files: whether the codecs' files stay in `out`.
      versions: see `Row`.
      command: see `Row`.
      machine: see `Row`.
    """

    out: str
    lpips: str | None = None
    lpips_label: str = ""
    features: FeatureSpec | None = None
    keep_files: bool = True
    versions: str = ""
    command: str = ""
    machine: str = ""


def row_digest(key: tuple[str, ...]) -> str:
    """A file name's worth of a row's key."""
    return hashlib.sha256("\0".join(key).encode("utf-8", "surrogateescape")).hexdigest()[:20]


def features_path(context: Context, key: tuple[str, ...]) -> str:
    """Where a row's features are kept; of originals, the key is name and digest of the picture."""
    features: Any = context.features  # who asks has some
    return os.path.join(context.out, "features", features.label, f"{row_digest(key)}.npy")


def file_path(out: str, row: Row, extension: str) -> str:
    """Where a row's file is kept."""
    return os.path.join(out, "files", f"{row_digest(row.key)}{extension}")


class Bench:
    """Loaded codecs and networks of one process.

    Of the models one stays loaded at a time, as tasks come codec by codec.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._spec: CodecSpec | None = None
        self._codec: PictureCodec | None = None
        self._seen: set[tuple[int, ...]] = set()
        self._read = functools.lru_cache(maxsize=2)(lambda path: read_picture(path).pixels)

    def run(self, task: Task) -> Row | Failure:
        """Measures a task. Nothing but an interrupt leaves it: one row must not end the others."""
        try:
            return self.measure(task)
        except TfhificError as error:
            message = str(error)
        except Exception as error:  # of a codec's or a network's own kind
            message = f"{type(error).__name__}: {error}"
        return Failure(
            task.image.name,
            task.spec.label,
            task.point,
            " ".join(message.split()) or "no reason given",
        )

    def measure(self, task: Task) -> Row:
        """Makes the real file of a picture, decodes it, and measures both."""
        codec = self.codec(task.spec)
        pixels = self._read(task.image.path)
        setting: Any = task.setting
        if task.target is None:
            reached = True
        else:
            found = match(codec, pixels, task.target)
            setting, reached = found.setting, found.reached
        if pixels.shape[:2] not in self._seen:  # the first picture of a size also builds graphs
            codec.decode(codec.encode(pixels, setting))
            self._seen.add(pixels.shape[:2])
        started = time.perf_counter()
        data = codec.encode(pixels, setting)
        encoded = time.perf_counter()
        decoded = codec.decode(data)
        finished = time.perf_counter()
        context = self._context
        row = Row(
            image=task.image.name,
            image_digest=task.image.digest,
            width=pixels.shape[1],
            height=pixels.shape[0],
            codec=task.spec.label,
            codec_version=codec.version,
            target=str(task.target or ""),
            setting=format_setting(setting),
            reached=reached,
            bytes=len(data),
            bpp=8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
            psnr=psnr(pixels, decoded),
            psnr_y=psnr_y(pixels, decoded),
            ms_ssim=ms_ssim(pixels, decoded),
            lpips=self._distance(pixels, decoded),
            lpips_weights=context.lpips_label,
            estimated_bpp=_estimate(codec, pixels, setting),
            encode_seconds=encoded - started,
            decode_seconds=finished - encoded,
            peak_memory_mib=math.nan,
            versions=context.versions,
            command=context.command,
            machine=context.machine,
        )
        if task.probe:
            peak = peak_memory(task.spec, setting, task.image.path)
            row = dataclasses.replace(row, peak_memory_mib=peak)
        if context.features is not None:
            self._keep_features(pixels, (task.image.name, task.image.digest))
            self._keep_features(decoded, row.key)
        if context.keep_files:
            os.makedirs(os.path.join(context.out, "files"), exist_ok=True)
            write_atomically(file_path(context.out, row, codec.extension), data, overwrite=True)
        return row

    def codec(self, spec: CodecSpec) -> PictureCodec:
        """The loaded codec."""
        if self._codec is None or spec != self._spec:
            self._codec = None  # before the next one is read: two may not fit
            self._codec, self._spec = open_codec(spec), spec
            self._seen.clear()
        return self._codec

    @functools.cached_property
    def _lpips(self):
        from tfhific.losses.lpips import LPIPS

        return LPIPS(self._context.lpips or "")

    @functools.cached_property
    def _network(self):
        features: Any = self._context.features
        return features.load()

    def _distance(self, pixels: np.ndarray, decoded: np.ndarray) -> float:
        if self._context.lpips is None or min(pixels.shape[:2]) < self._lpips.min_side:
            return math.nan
        pair = [image[None].astype(np.float32) / 127.5 - 1 for image in (pixels, decoded)]
        return float(self._lpips(tuple(pair))[0])

    def _keep_features(self, pixels: np.ndarray, key: tuple[str, ...]) -> None:
        from tfhific.evaluation.features import keep_array

        path = features_path(self._context, key)
        if not os.path.exists(path):
            keep_array(path, self._network.of_picture(pixels))


def _estimate(codec: PictureCodec, pixels: np.ndarray, setting: Setting) -> float:
    if not isinstance(codec, RateEstimator):
        return math.nan
    return float(codec.estimate_bpp(pixels, setting))


@functools.lru_cache(maxsize=1)
def _bench(context: Context) -> Bench:
    return Bench(context)


def run_in_worker(context: Context, task: Task) -> Row | Failure:
    """`Bench.run` in a worker process, whose bench stays loaded between tasks."""
    return _bench(context).run(task)


def peak_memory(spec: CodecSpec, setting: Setting, path: str) -> float:
    """MiB that a new process takes at its peak to load a codec, encode and decode a picture.

    Python's and TensorFlow's own share is part of it. NaN where the system does not say.

    Raises:
      TfhificError: when the process fails.
    """
    import tfhific

    request = json.dumps([spec.label, spec.members, setting, path])
    root = os.path.dirname(os.path.dirname(os.path.abspath(tfhific.__file__)))
    search = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "tfhific.evaluation.peak_memory"],
        input=request.encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": search, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise TfhificError(f"measuring the peak memory of {spec.label} failed: {lines[-1]}")
    return float(done.stdout.split()[-1])
