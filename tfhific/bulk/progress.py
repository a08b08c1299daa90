"""How far a job is and when it will end, on a terminal or as a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from tfhific.bulk.plan import Task
from tfhific.bulk.rows import FAILED, Row

_SECONDS = 30.0


class Progress:
    """Counts rows; the end is estimated from the bytes of the inputs, whose sizes differ."""

    def __init__(
        self,
        tasks: Sequence[Task],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins to count.

        Args:
          tasks: of the job.
          say: prints a line.
          clock: seconds.
        """
        self._weights = {task.source: 1 + (task.found.bytes or 0) for task in tasks}
        self._total, self._files = sum(self._weights.values()), len(tasks)
        self._say, self._clock = say, clock
        self._started = self._said = clock()
        self._weight = 0
        self.done = self.failed = 0

    def add(self, row: Row) -> None:
        """Counts a row."""
        self._weight += self._weights.pop(row.source, 0)
        if row.status == FAILED:
            self.failed += 1
        else:
            self.done += 1

    def tick(self) -> None:
        """Prints a line where it is time for one."""
        if self._clock() - self._said >= (1.0 if sys.stderr.isatty() else _SECONDS):
            self._said = self._clock()
            self._say(self.line())

    def line(self) -> str:
        """What there is to say now."""
        files, seconds = self.done + self.failed, self._clock() - self._started
        text = f"{files:,} of {self._files:,} pictures, {self.failed:,} failed"
        if not self._weight or seconds <= 0:
            return f"{text}; the workers start"
        left = seconds * (self._total - self._weight) / self._weight
        return f"{text}, {files / seconds:.1f} a second, about {duration(left)} left"


def duration(seconds: float) -> str:
    """A time as it is said: `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"
