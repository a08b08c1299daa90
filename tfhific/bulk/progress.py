"""How far a job is and when it will end, on a terminal or as a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from tfhific.bulk.plan import Task
from tfhific.bulk.rows import FAILED, Row

_SECONDS = 30.0


class Progress:
    """Counts rows and estimates the end.

    The estimate goes by the bytes of the inputs, whose sizes differ, and by what came after the
    first row: until then workers start.
    """

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
        self._said = clock()
        self._first: float | None = None
        self._first_weight = self._weight = 0
        self.done = self.failed = 0

    def add(self, row: Row) -> None:
        """Counts a row."""
        self._weight += self._weights.pop(row.source, 0)
        if row.status == FAILED:
            self.failed += 1
        else:
            self.done += 1
        if self._first is None:
            self._first, self._first_weight = self._clock(), self._weight

    def tick(self) -> None:
        """Prints a line where it is time for one."""
        if self._clock() - self._said >= (1.0 if sys.stderr.isatty() else _SECONDS):
            self._said = self._clock()
            self._say(self.line())

    def line(self) -> str:
        """What there is to say now."""
        files = self.done + self.failed
        text = f"{files:,} of {self._files:,} pictures, {self.failed:,} failed"
        if self._first is None:
            return f"{text}; the workers start"
        seconds, weight = self._clock() - self._first, self._weight - self._first_weight
        if seconds <= 0 or not weight:
            return text
        left = seconds * (self._total - self._weight) / weight
        return f"{text}, {(files - 1) / seconds:.1f} a second, about {duration(left)} left"


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
