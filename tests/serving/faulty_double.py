"""A test double of what may be where a server is expected: it answers with any bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence


class FaultyDouble:
    """What listens.

    Attributes:
      address: `HOST:PORT`.
      requests: the bytes of every request so far.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.requests: list[bytes] = []


def http_answer(body: bytes, length: int | None = None, status: str = "200 OK") -> bytes:
    """An HTTP answer; `length` is what it claims to have, None the truth."""
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}"
    return head.encode() + b"\r\n\r\n" + body


@contextlib.contextmanager
def answering(parts: Sequence[bytes], pause: float = 0.0) -> Iterator[FaultyDouble]:
    """Answers every request with the same parts, some seconds apart, and closes the connection."""
    with socket.create_server(("localhost", 0)) as listener:
        double = FaultyDouble(f"localhost:{listener.getsockname()[1]}")
        stopped = threading.Event()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(10)
                    double.requests.append(_request(connection))
                    for part in parts:
                        connection.sendall(part)
                        if stopped.wait(pause):
                            return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield double
        finally:
            stopped.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _request(connection: socket.socket) -> bytes:
    """A whole HTTP request, or what came before a pause of something else."""
    held, deadline = b"", time.monotonic() + 10
    while time.monotonic() < deadline:
        head, separator, body = held.partition(b"\r\n\r\n")
        if separator:
            lines = head.lower().split(b"\r\n")
            lengths = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-l")]
            if len(body) >= sum(lengths):
                return held
        more = connection.recv(1 << 16)
        if not more:
            return held
        held += more
    return held
