"""A test double of TensorFlow Serving: the same protocols, in this process, on a loaded SavedModel.

It stands in where the real server is not installed. It speaks what the clients here use:
`PredictionService.Predict` and `ModelService.GetModelStatus` over gRPC; `:predict` with columns or
rows, and the model's status, over REST. It does not batch, and has no versions to choose from.
"""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import re
import ssl
import threading
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

_ACTION = re.compile(r"/v1/models/(\w[\w.-]*)(?:/versions/(\d+))?(:predict)?")
_LIMIT = 256 << 20

Certificate = tuple[pathlib.Path, pathlib.Path]
"""Files (PEM) of a private key, and of its certificate."""


class BadRequestError(Exception):
    """What the real server answers with INVALID_ARGUMENT, or NOT_FOUND."""


class Double:
    """The model behind both doors.

    Attributes:
      grpc_address: `HOST:PORT`, or None where grpcio or tensorflow-serving-api are not installed.
      rest_address: `http://HOST:PORT`, or `https://HOST:PORT`.
      headers: what came with the last prediction's request, by name in lower case.
      delay: seconds before a prediction's answer.
    """

    def __init__(self, loaded, name: str) -> None:
        self._loaded, self._name = loaded, name
        self.grpc_address: str | None = None
        self.rest_address = ""
        self.headers: dict[str, str] = {}
        self.delay = 0.0

    def note(self, headers) -> None:
        self.headers = {name.lower(): value for name, value in headers}
        time.sleep(self.delay)

    def predict(self, name: str, signature: str, inputs: dict) -> dict[str, np.ndarray]:
        if name != self._name:
            raise BadRequestError(f"Servable not found for request: Latest({name})")
        signatures = self._loaded.signatures
        if signature not in signatures:
            raise BadRequestError(f'Serving signature name: "{signature}" not found')
        function = signatures[signature]
        specs = function.structured_input_signature[1]
        if set(inputs) != set(specs):
            raise BadRequestError(
                f"input keys {sorted(inputs)} do not match those expected: {sorted(specs)}"
            )
        try:
            tensors = {key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()}
            return {key: value.numpy() for key, value in function(**tensors).items()}
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
            raise BadRequestError(str(error)) from error


def _decoded(value):
    """JSON values as TensorFlow Serving's REST API reads them."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value


def _encoded(name: str, value):
    if isinstance(value, list):
        return [_encoded(name, item) for item in value]
    if isinstance(value, bytes):
        # What is called so, and nothing else, is taken for binary.
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode()
    return value


def _rest_predict(double: Double, name: str, request: dict) -> dict:
    signature = request.get("signature_name", "serving_default")
    rows = request.get("instances")
    if rows is not None:
        inputs = {key: [_decoded(row[key]) for row in rows] for key in rows[0]}
    else:
        inputs = {key: _decoded(value) for key, value in request["inputs"].items()}
    outputs = double.predict(name, signature, inputs)
    columns = {key: _encoded(key, value.tolist()) for key, value in outputs.items()}
    if rows is None:
        return {"outputs": columns}
    names = list(columns)
    return {"predictions": [dict(zip(names, row)) for row in zip(*columns.values())]}


def _handler(double: Double) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = _ACTION.fullmatch(self.path)
            if not found or found[3] or found[1] != double._name:
                self._answer(404, {"error": f"Malformed request: GET {self.path}"})
                return
            status = {"error_code": "OK", "error_message": ""}
            version = {"version": "1", "state": "AVAILABLE", "status": status}
            self._answer(200, {"model_version_status": [version]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            double.note(self.headers.items())
            found = _ACTION.fullmatch(self.path)
            if not found or not found[3]:
                self._answer(404, {"error": f"Malformed request: POST {self.path}"})
                return
            try:
                self._answer(200, _rest_predict(double, found[1], json.loads(body)))
            except (BadRequestError, LookupError, ValueError, TypeError) as error:
                self._answer(400, {"error": str(error)})

        def _answer(self, code: int, content: dict) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments) -> None:
            pass

    return Handler


def _start_grpc(double: Double, certificate: Certificate | None):
    import grpc
    from tensorflow_serving.apis import (
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            double.note(context.invocation_metadata())
            spec = request.model_spec
            signature = spec.signature_name or "serving_default"
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            try:
                outputs = double.predict(spec.name, signature, inputs)
            except BadRequestError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            response = predict_pb2.PredictResponse()
            response.model_spec.CopyFrom(spec)
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

    class Models(model_service_pb2_grpc.ModelServiceServicer):
        def GetModelStatus(self, request, context):
            response = get_model_status_pb2.GetModelStatusResponse()
            status = response.model_version_status.add()
            status.version = 1
            status.state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
            return response

    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(4),
        options=[
            ("grpc.max_receive_message_length", _LIMIT),
            ("grpc.max_send_message_length", _LIMIT),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predictions(), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    if certificate is None:
        port = server.add_insecure_port("localhost:0")
    else:
        pair = tuple(path.read_bytes() for path in certificate)
        port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    double.grpc_address = f"localhost:{port}"
    server.start()
    return server


@contextlib.contextmanager
def serve(loaded, name: str, certificate: Certificate | None = None) -> Iterator[Double]:
    """Serves a loaded SavedModel under a name, on free ports; by TLS with a certificate."""
    double = Double(loaded, name)
    with contextlib.ExitStack() as stack:
        rest = http.server.ThreadingHTTPServer(("localhost", 0), _handler(double))
        stack.callback(rest.server_close)
        stack.callback(rest.shutdown)
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate[1], certificate[0])
            # The handshake is the thread's of the connection, so that a failed one stops nothing.
            rest.socket = context.wrap_socket(
                rest.socket, server_side=True, do_handshake_on_connect=False
            )
            rest.handle_error = lambda request, address: None
        threading.Thread(target=rest.serve_forever, daemon=True).start()
        double.rest_address = f"{scheme}://localhost:{rest.server_address[1]}"
        with contextlib.suppress(ImportError):
            server = _start_grpc(double, certificate)
            stack.callback(lambda: server.stop(None).wait())
        yield double
