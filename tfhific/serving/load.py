"""How long calls take when several are made at once."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
from collections.abc import Callable

import numpy as np

PERCENTILES = (50, 90, 95, 99)


@dataclasses.dataclass(frozen=True)
class Load:
    """What was measured at one concurrency.

    Attributes:
      concurrency: callers, each of which calls again as soon as it is answered.
      calls: answered in all.
      seconds: that took.
      latencies: float64 [calls], seconds, rising.
    """

    concurrency: int
    calls: int
    seconds: float
    latencies: np.ndarray

    @property
    def throughput(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds

    def percentile(self, percent: float) -> float:
        """Seconds within which so many percent of the calls were answered."""
        return float(np.percentile(self.latencies, percent))

    def line(self) -> str:
        """The measurement in words."""
        times = ", ".join(f"p{p} {1000 * self.percentile(p):.0f}" for p in PERCENTILES)
        return f"{self.concurrency:3} at once: {self.throughput:7.2f} a second; {times} ms"


def measure(call: Callable[[], object], concurrency: int, seconds: float) -> Load:
    """Has some callers call for some time; every caller finishes its last call.

    Args:
      call: made from several threads at once. What it raises is raised here.
      concurrency: number of callers.
      seconds: for which new calls are begun, at least one each.
    """
    end = time.perf_counter() + seconds

    def caller() -> list[float]:
        latencies: list[float] = []
        while not latencies or time.perf_counter() < end:
            started = time.perf_counter()
            call()
            latencies.append(time.perf_counter() - started)
        return latencies

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        callers = [pool.submit(caller) for _ in range(concurrency)]
        latencies = np.sort(np.concatenate([each.result() for each in callers]))
    return Load(concurrency, len(latencies), time.perf_counter() - started, latencies)
