"""Load tests: an exported model in this process, or a server."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tfhific.commands import common, extras
from tfhific.commands.synthetic import synthetic_picture
from tfhific.errors import TfhificError

if TYPE_CHECKING:
    from tfhific.serving.pipeline import SavedModel

Way = Callable[[bytes, bytes, int], object]
"""Does a picture so many times: its PNG file, its .tfh file, how often."""


@dataclasses.dataclass(frozen=True)
class Server:
    """Where a server is and how it is asked, as `clients/python` has it.

    Attributes:
      address: HOST:PORT for gRPC, http://HOST:PORT or https://HOST:PORT for REST.
      model: the name it is served under.
      timeout: seconds that a call may take.
      headers: `NAME: VALUE`, or `@FILE` with lines of them, that go with every request.
      tls: whether gRPC is encrypted.
      ca: file of the certificates that the server's is checked against; None: the system's.
    """

    address: str
    model: str
    timeout: float
    headers: Sequence[str] = ()
    tls: bool = False
    ca: str | None = None


@dataclasses.dataclass(frozen=True)
class LoadTest:
    """What is measured.

    Attributes:
      model: name or folder of the model that makes the files.
      quality: of the files; None for the model's own.
      pictures: paths; none for a synthetic one.
      size: width and height of that one.
      concurrency: how many callers at once, one after the other.
      seconds: for each of them.
      runs: of each comparison with Python.
      saved_model: folder of an export; None for one that is made for this.
      server: asked instead of an export.
    """

    model: str
    quality: float | None
    pictures: Sequence[str]
    size: tuple[int, int]
    concurrency: Sequence[int]
    seconds: float
    runs: int
    saved_model: str | None = None
    server: Server | None = None


def _client_modules():
    """The Python client, which a checkout has beside the package."""
    import tfhific

    folder = os.path.join(os.path.dirname(tfhific.__file__), "..", "clients", "python")
    folder = os.path.abspath(folder)
    if not os.path.isdir(folder):
        raise TfhificError(
            "--server: expected the Python client in clients/python, which a checkout of tfhific "
            f"has and an installed package does not. Received: no {folder}."
        )
    sys.path.insert(0, folder)
    import tfh_client
    import tfh_program

    return tfh_client, tfh_program


@contextlib.contextmanager
def _errors_of_client() -> Iterator[None]:
    tfh_client, tfh_program = _client_modules()
    try:
        yield
    except (tfh_client.ServingError, tfh_program.FileError) as error:
        raise TfhificError(str(error)) from None


def _connected(server: Server):
    """A client of the server; nothing has been asked yet."""
    tfh_client, tfh_program = _client_modules()
    with _errors_of_client():
        headers = tfh_program.parse_headers(server.headers)
        if not server.address.startswith(("http://", "https://")):
            needed = {"grpc": "grpcio", "tensorflow_serving": "tensorflow-serving-api"}
            extras.require("A server's gRPC", "serving", needed)
            common.start_tensorflow()
        return tfh_client.client_for(
            server.address, server.model, server.timeout, headers, server.tls, server.ca
        )


def load_test(test: LoadTest) -> None:
    """Prints latencies of the first picture at several concurrencies, and, for an export, single
    files and batches of 8 against Python with each picture.

    Raises:
      TfhificError: a picture can't be read, or the server does not answer as it should.
    """
    client = None if test.server is None else _connected(test.server)
    common.start_tensorflow()
    import tfhific
    from tfhific.pictures.images import encode_png, read_picture

    if test.pictures:
        pictures = [read_picture(path).pixels for path in test.pictures]
    else:
        pictures = [synthetic_picture(*test.size)]
    codec = tfhific.load(test.model)
    pairs = [(encode_png(each), codec.compress(each, test.quality)) for each in pictures]
    png, data = pairs[0]
    if client is not None:
        tfh_client, _ = _client_modules()
        calls = {
            "compress": lambda: tfh_client.compress(client, png, test.quality),
            "decompress": lambda: tfh_client.decompress(client, data),
        }
        with _errors_of_client():
            _measure(calls, test, pictures[0].shape, len(data))
        return
    with tempfile.TemporaryDirectory() as made:
        model = _exported(codec, test.saved_model, made)
        calls = {
            "compress": lambda: model.compress([png], test.quality),
            "decompress": lambda: model.decompress([data]),
        }
        _measure(calls, test, pictures[0].shape, len(data))
        _against_python(codec, model, pairs, test)


def _exported(codec, folder: str | None, made: str) -> SavedModel:
    from tfhific.serving import pipeline

    if folder is None:
        from tfhific.serving.export import export

        folder = export(codec.published, made, warmup=False)
    started = time.perf_counter()
    model = pipeline.SavedModel(folder)
    print(f"{folder}: loaded in {time.perf_counter() - started:.2f} s")
    return model


def _measure(calls: dict[str, Callable], test: LoadTest, shape: Sequence[int], size: int) -> None:
    from tfhific.serving.load import measure

    height, width = shape[:2]
    print(f"{width}x{height}, {size:,} bytes, {os.cpu_count()} cores")
    for name, call in calls.items():
        call()
        for concurrency in test.concurrency:
            print(f"{name}, {measure(call, concurrency, test.seconds).line()}")


def _against_python(
    codec, model: SavedModel, pictures: Sequence[tuple[bytes, bytes]], test: LoadTest
) -> None:
    """Batches of 8, and single files, by the SavedModel and by the Python codec, in turns."""
    from tfhific.pictures.images import encode_png, read_picture

    def python_compress(png: bytes, data: bytes, count: int) -> None:
        for _ in range(count):
            codec.compress_picture(read_picture(png), test.quality)

    def python_decompress(png: bytes, data: bytes, count: int) -> None:
        for _ in range(count):
            encode_png(codec.decompress_picture(data))

    ways: dict[str, tuple[Way, Way]] = {
        "compress": (
            python_compress,
            lambda png, data, count: model.compress([png] * count, test.quality),
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
                times = _in_turns(both, picture, count, test.runs)
                ratios.append(statistics.median(own / plain for plain, own in zip(*times)))
                medians.append([statistics.median(values) for values in times])
            python, served = (statistics.median(column) for column in zip(*medians))
            each = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
            print(
                f"{name}, {count} at a time: Python codec median {python:.3f} s each, SavedModel "
                f"{served:.3f} s each, {statistics.median(ratios):.2f} x Python{each}"
            )


def _in_turns(
    ways: Sequence[Way], picture: tuple[bytes, bytes], count: int, runs: int
) -> list[list[float]]:
    """Seconds a picture of each way, run by run; an untimed run before them warms up."""
    times: list[list[float]] = [[] for _ in ways]
    for run in range(runs + 1):
        for way, values in zip(ways, times):
            started = time.perf_counter()
            way(*picture, count)
            if run:
                values.append((time.perf_counter() - started) / count)
    return times
