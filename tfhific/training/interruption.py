"""SIGINT and SIGTERM while a run trains: a wish to stop that is met between two steps."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Notes the signals while its block runs; a second one ends the process at once.

    A step can take minutes inside TensorFlow, where no Python handler runs: a thread reads the
    numbers that the system's own handler writes, says that the wish was heard, and can end a
    process that hangs. Outside of the main thread, signals are left to the caller.

    Attributes:
      signal: the number of the signal that came, or 0.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """Initializer.

        Args:
          say: takes a line for the user; called from another thread.
        """
        self.signal = 0
        self._say = say
        self._handlers: dict[int, Any] = {}
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, self._note)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        before = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
        if before != -1:
            # An event loop listens there already; the handler alone has to do.
            signal.set_wakeup_fd(before)
            ours.close()
            theirs.close()
            return self
        self._ends = ours, theirs
        threading.Thread(target=self._watch, args=(theirs,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        if self._ends:
            signal.set_wakeup_fd(-1)
            self._ends[0].close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, _) -> None:
        self.signal = self.signal or number

    def _watch(self, end: socket.socket) -> None:
        heard = False
        with end, contextlib.suppress(OSError):
            while received := end.recv(64):
                for number in received:
                    if number not in SIGNALS:
                        continue
                    if heard:
                        self._say("stopped at once")
                        os._exit(128 + number)
                    heard = True
                    self._say("stopping after this step; once more to stop at once")
