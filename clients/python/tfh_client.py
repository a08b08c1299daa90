"""Calls a served tfhific model: over gRPC (PredictionService), or over REST.

REST needs nothing but Python. gRPC needs the packages `grpcio` and `tensorflow-serving-api`.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import tempfile
import urllib.error
import urllib.request

MAX_MESSAGE_BYTES = 256 << 20


class ServingError(Exception):
    """The server could not be asked, or said that something is wrong with the data."""


class RestClient:
    """Asks over HTTP.

    Args:
      server: such as `http://localhost:8501`.
      model: the name it is served under.
      timeout: seconds.
    """

    def __init__(self, server: str, model: str = "mini", timeout: float = 60.0) -> None:
        self._url = f"{server.rstrip('/')}/v1/models/{model}:predict"
        self._timeout = timeout

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
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise ServingError(f"{self._url}: {_reason(error)}") from None
        except (OSError, ValueError) as error:
            raise ServingError(f"{self._url}: {error}") from None
        return {
            name: [
                base64.b64decode(value["b64"]) if isinstance(value, dict) else value
                for value in values
            ]
            for name, values in answer["outputs"].items()
        }


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"HTTP status {error.code}"


class GrpcClient:
    """Asks over gRPC.

    Args:
      server: such as `localhost:8500`.
      model: the name it is served under.
      timeout: seconds.
    """

    def __init__(self, server: str, model: str = "mini", timeout: float = 60.0) -> None:
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self._model, self._timeout, self._server = model, timeout, server
        options = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ]
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
        for name, values in inputs.items():
            array = np.asarray(values)
            dtype = tf.float32 if array.dtype.kind == "f" else None
            held = tf.make_tensor_proto(values if array.dtype.kind == "S" else array, dtype)
            request.inputs[name].CopyFrom(held)
        try:
            answer = self._stub.Predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise ServingError(f"{self._server}: {error.details()}") from None
        outputs = {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}
        return {
            name: [_text(name, value) for value in array] if array.dtype.kind == "O" else array
            for name, array in outputs.items()
        }

    def close(self) -> None:
        self._channel.close()


def _text(name: str, value: bytes) -> bytes | str:
    return value if name.endswith("_bytes") else value.decode()


def client_for(server: str, model: str) -> RestClient | GrpcClient:
    """A client for `http://HOST:PORT` (REST) or `HOST:PORT` (gRPC)."""
    if server.startswith(("http://", "https://")):
        return RestClient(server, model)
    try:
        return GrpcClient(server, model)
    except ImportError as error:
        raise ServingError(
            f"gRPC needs the packages grpcio and tensorflow-serving-api ({error}); "
            "REST needs neither: --server=http://HOST:8501"
        ) from None


def compress(client, image: bytes, quality: float | None = None) -> bytes:
    """Compresses an encoded image; raises ServingError."""
    if quality is None:
        answer = client.call("compress", image_bytes=[image])
    else:
        answer = client.call("compress_at", image_bytes=[image], quality=[float(quality)])
    return _only(answer, "compressed_bytes")


def decompress(client, compressed: bytes) -> bytes:
    """Decompresses a `.tfh` file to a PNG file; raises ServingError."""
    return _only(client.call("decompress", compressed_bytes=[compressed]), "image_bytes")


def _only(answer: dict[str, list], output: str) -> bytes:
    if answer["error"][0]:
        raise ServingError(answer["error"][0])
    return answer[output][0]


def _write(path: str, data: bytes) -> None:
    """Writes a file whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main(compressing: bool, arguments: list[str] | None = None) -> int:
    """The two programs; returns an exit code."""
    parser = argparse.ArgumentParser(
        prog="tfh-compress" if compressing else "tfh-decompress", allow_abbrev=False
    )
    parser.add_argument("input", metavar="IN")
    parser.add_argument("output", metavar="OUT")
    parser.add_argument(
        "--server",
        default=os.environ.get("TFH_SERVER", "localhost:8500"),
        help="HOST:PORT for gRPC, http://HOST:PORT for REST; default: the variable TFH_SERVER, "
        "or localhost:8500",
    )
    parser.add_argument("--model_name", default="mini", help="name the model is served under")
    if compressing:
        parser.add_argument("--quality", type=float, help="1 to 8; default: the model's")
    options = parser.parse_args(arguments)
    # TensorFlow's notices are not the user's business.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with open(options.input, "rb") as file:
            data = file.read()
        client = client_for(options.server, options.model_name)
        if compressing:
            result = compress(client, data, options.quality)
        else:
            result = decompress(client, data)
        _write(options.output, result)
    except (ServingError, OSError) as error:
        print(f"error: {options.input}: {error}", file=sys.stderr)
        return 1
    return 0
