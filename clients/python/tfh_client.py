"""Calls a served tfhific model: over gRPC (PredictionService), or over REST.

REST needs nothing but Python. gRPC needs the packages `grpcio` and `tensorflow-serving-api`.
Whatever a server answers, or does not, ends in a result that is what was asked for, or in a
ServingError of one line: servers and what stands between are not trusted.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import os
import re
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence

MAX_MESSAGE_BYTES = 256 << 20
MAX_REST_ANSWER_BYTES = 1 << 30
DEFAULT_TIMEOUT = 60.0
MAX_TIMEOUT = 1e6

_PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_GRPC_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]@?#]+):(\d{1,5})")
_GRPC_SCHEMES = ("dns:", "unix:", "ipv4:", "ipv6:")


class ServingError(Exception):
    """The server could not be asked, or said that something is wrong with the data."""


def one_line(text: object) -> str:
    """Text from elsewhere as one line of at most 1000 characters that a terminal can show."""
    words = " ".join(str(text).split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in words)
    return shown if len(shown) <= 1000 else shown[:997] + "..."


class RestClient:
    """Asks over HTTP. Redirects are not followed: headers may hold secrets.

    Args:
      server: such as `http://localhost:8501`, or `https://...`.
      model: the name it is served under.
      timeout: seconds that a call may take in all.
      headers: names and values that go with every request.
      ca: file of the certificates (PEM) that a server's is checked against; None: the system's.

    Raises:
      ServingError: the address or the file of certificates is not in order.
    """

    def __init__(
        self,
        server: str,
        model: str = "mini",
        timeout: float = DEFAULT_TIMEOUT,
        headers: Sequence[tuple[str, str]] = (),
        ca: str | None = None,
    ) -> None:
        _check_url(server)
        name = urllib.parse.quote(model, safe="")
        self._url = f"{server.rstrip('/')}/v1/models/{name}:predict"
        self._timeout, self._headers = timeout, list(headers)
        context = _trusted(ca) if server.startswith("https://") else None
        self._opener = urllib.request.build_opener(
            _NoRedirects, urllib.request.HTTPSHandler(context=context)
        )

    def call(self, signature: str, **inputs: list) -> dict[str, list]:
        """Calls a signature: lists of `bytes`, numbers or nested lists, one entry an element."""
        columns = {
            name: [
                {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
                for value in values
            ]
            for name, values in inputs.items()
        }
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        request = urllib.request.Request(
            self._url, data=body, headers={"Content-Type": "application/json"}
        )
        for name, value in self._headers:
            request.add_header(name, value)
        try:
            return _columns(_within(self._timeout, lambda: self._ask(request)))
        except ServingError as error:
            raise ServingError(f"{self._url}: {error}") from None

    def _ask(self, request: urllib.request.Request) -> object:
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                body = response.read(MAX_REST_ANSWER_BYTES + 1)
                # http.client tells a shortened answer only where the whole of it is asked for.
                if response.length:
                    raise http.client.IncompleteRead(body, response.length)
        except urllib.error.HTTPError as error:
            raise ServingError(_refusal(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServingError(_failure(error, self._timeout)) from None
        if len(body) > MAX_REST_ANSWER_BYTES:
            raise ServingError(f"the answer is larger than {MAX_REST_ANSWER_BYTES} bytes")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ServingError(
                f"expected an answer in JSON, received {len(body)} bytes that are none or a part; "
                "is this the REST port of a TensorFlow Serving?"
            ) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments) -> None:
        return None


def _check_url(server: str) -> None:
    try:
        parts = urllib.parse.urlsplit(server)
        # Looking at the port checks it.
        good = (
            bool(parts.hostname) and parts.port != 0 and server.isascii() and server.isprintable()
        )
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or "@" in parts.netloc or " " in server:
        raise ServingError(
            f"expected an address such as http://localhost:8501, received {one_line(server)}"
            + ("; a name and password go into a header" if "@" in server else "")
        )


def _trusted(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else one_line(error)
        raise ServingError(f"{ca}: expected a file of certificates in PEM ({reason})") from None


def _within(seconds: float, work):
    """What `work` returns or raises, unless it takes too long: then it is left to itself.

    A socket's own timeout begins anew with every byte, and is none for looking up names.
    """
    outcome: list = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise ServingError(_too_slow(seconds))
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def _too_slow(seconds: float) -> str:
    return f"no whole answer within {seconds:g} s (--timeout)"


def _refusal(error: urllib.error.HTTPError) -> str:
    """What an HTTP status other than success says."""
    if 300 <= error.code < 400:
        place = one_line(error.headers.get("Location", "another place"))
        return f"HTTP status {error.code}: sends on to {place}; if you trust that, ask there"
    try:
        return one_line(json.loads(error.read(1 << 20))["error"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, RecursionError):
        return f"HTTP status {error.code} {one_line(error.reason)}".rstrip()


def _failure(error: Exception, timeout: float) -> str:
    """What went wrong between here and the server."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, (TimeoutError, socket.timeout)):
        return _too_slow(timeout)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {one_line(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with the server: {one_line(error.reason or error)}"
    if isinstance(error, http.client.IncompleteRead):
        return f"the answer was cut off after {len(error.partial)} bytes"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "the connection was closed before there was an answer"
    if isinstance(error, (http.client.HTTPException, ValueError)):
        return f"expected an HTTP server, received something else ({one_line(error)})"
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror)
    return one_line(error)


def _columns(answer: object) -> dict[str, list]:
    """The outputs of a REST answer by name, binary values as `bytes`."""
    outputs = answer.get("outputs") if isinstance(answer, dict) else None
    if not isinstance(outputs, dict) or not all(isinstance(v, list) for v in outputs.values()):
        raise ServingError("expected the outputs of a model by name, received other JSON")
    try:
        return {
            name: [
                base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value
                for value in values
            ]
            for name, values in outputs.items()
        }
    except (ValueError, LookupError, TypeError):
        raise ServingError("expected binary values in base64, received something else") from None


class GrpcClient:
    """Asks over gRPC.

    Args:
      server: such as `localhost:8500`.
      model: the name it is served under.
      timeout: seconds that a call may take in all.
      headers: names and values that go with every request, as metadata.
      tls: whether the connection is encrypted and the server's certificate checked.
      ca: file of the certificates (PEM) to check against; None: gRPC's own.

    Raises:
      ServingError: the address or the file of certificates is not in order.
      ImportError: a package is missing.
    """

    def __init__(
        self,
        server: str,
        model: str = "mini",
        timeout: float = DEFAULT_TIMEOUT,
        headers: Sequence[tuple[str, str]] = (),
        tls: bool = False,
        ca: str | None = None,
    ) -> None:
        found = _GRPC_ADDRESS.fullmatch(server)
        if not server.startswith(_GRPC_SCHEMES) and not (found and 0 < int(found[2]) < 65536):
            raise ServingError(
                f"expected HOST:PORT for gRPC, or http://HOST:PORT for REST, "
                f"received {one_line(server)}"
            )
        roots = None
        if ca is not None:
            _trusted(ca)
            with open(ca, "rb") as file:
                roots = file.read()
        # Notices of gRPC and TensorFlow are not the user's business.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        import grpc
        import tensorflow  # noqa: F401
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self._model, self._timeout, self._server = model, timeout, server
        # HTTP/2 has names in lower case only.
        self._metadata = [(name.lower(), value) for name, value in headers]
        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ]
        if tls:
            credentials = grpc.ssl_channel_credentials(roots)
            self._channel = grpc.secure_channel(server, credentials, options)
        else:
            self._channel = grpc.insecure_channel(server, options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def call(self, signature: str, **inputs: list) -> dict[str, list]:
        """Calls a signature: lists of `bytes` or numbers, or arrays, one entry an element."""
        import grpc
        import numpy as np
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        try:
            for name, values in inputs.items():
                array = np.asarray(values)
                dtype = tf.float32 if array.dtype.kind == "f" else None
                held = tf.make_tensor_proto(values if array.dtype.kind == "S" else array, dtype)
                request.inputs[name].CopyFrom(held)
            answer = self._stub.Predict(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise ServingError(f"{self._server}: {_status(error, self._timeout)}") from None
        except ValueError as error:
            raise ServingError(f"{self._server}: can't be asked: {one_line(error)}") from None
        try:
            return {name: _values(name, value) for name, value in answer.outputs.items()}
        except (ValueError, TypeError):
            raise ServingError(f"{self._server}: the answer's tensors are not in order") from None

    def close(self) -> None:
        self._channel.close()


def _status(error, timeout: float) -> str:
    import grpc

    code, details = error.code(), one_line(error.details() or "")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return _too_slow(timeout)
    if code == grpc.StatusCode.UNAVAILABLE:
        return f"{details}; is it a gRPC port, and does it expect TLS?"
    return details or code.name


def _values(name: str, tensor) -> list:
    """A tensor's elements: strings as `bytes` where the name says so, or `str`; else an array."""
    import tensorflow as tf

    size = math.prod(dimension.size for dimension in tensor.tensor_shape.dim)
    if tensor.dtype == tf.string.as_datatype_enum:
        if size != len(tensor.string_val) or len(tensor.tensor_shape.dim) != 1:
            raise ValueError("not as many strings as the shape says")
        binary = name.endswith("_bytes")
        return [
            value if binary else value.decode("utf-8", "replace") for value in tensor.string_val
        ]
    # One value may stand for all of a shape that no memory holds.
    if not 0 <= size <= MAX_MESSAGE_BYTES:
        raise ValueError("a tensor larger than any message")
    return tf.make_ndarray(tensor)


def client_for(
    server: str,
    model: str,
    timeout: float = DEFAULT_TIMEOUT,
    headers: Sequence[tuple[str, str]] = (),
    tls: bool = False,
    ca: str | None = None,
) -> RestClient | GrpcClient:
    """A client for `http://HOST:PORT` (REST) or `HOST:PORT` (gRPC); raises ServingError."""
    if server.startswith(("http://", "https://")):
        if (tls or ca) and not server.startswith("https://"):
            raise ServingError(f"expected https:// for TLS, received {one_line(server)}")
        return RestClient(server, model, timeout, headers, ca)
    try:
        return GrpcClient(server, model, timeout, headers, tls or ca is not None, ca)
    except ImportError as error:
        raise ServingError(
            f"gRPC needs the packages grpcio and tensorflow-serving-api ({one_line(error)}); "
            "REST needs neither: --server=http://HOST:8501"
        ) from None


def compress(client, image: bytes, quality: float | None = None) -> bytes:
    """Compresses an encoded image to a `.tfh` file; raises ServingError."""
    if quality is None:
        answer = client.call("compress", image_bytes=[image])
    else:
        answer = client.call("compress_at", image_bytes=[image], quality=[float(quality)])
    data = _only(answer, "compressed_bytes")
    if not data.startswith(b"TFH"):
        raise ServingError(f"expected a .tfh file as the answer, received {len(data)} other bytes")
    return data


def decompress(client, compressed: bytes) -> bytes:
    """Decompresses a `.tfh` file to a PNG file; raises ServingError."""
    data = _only(client.call("decompress", compressed_bytes=[compressed]), "image_bytes")
    if not (data.startswith(_PNG_BEGIN) and data.endswith(_PNG_END)):
        raise ServingError(f"expected a PNG file as the answer, received {len(data)} other bytes")
    return data


def _only(answer: dict[str, list], output: str) -> bytes:
    errors, results = answer.get("error", []), answer.get(output, [])
    if len(errors) == 1 and isinstance(errors[0], str):
        if errors[0]:
            raise ServingError(one_line(errors[0]))
        if len(results) == 1 and isinstance(results[0], bytes):
            return results[0]
    raise ServingError(f"expected one result {output} and one error; is this a tfhific model?")
