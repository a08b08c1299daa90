"""A published network that LiteRT runs."""

from __future__ import annotations

import collections
import threading

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from tfhific.published.network import Network
from tfhific.published.ops import Relu
from tfhific.runtimes.litert.graph import Graph
from tfhific.runtimes.litert.layers import Layers, check_supported

KEPT = 3
"""So many shapes of input have their interpreters kept: of inner tiles, and of the edges'."""


class LiteRTNetwork:
    """Runs a network on arrays; one call at a time."""

    def __init__(self, network: Network, threads: int) -> None:
        """Initializer.

        Args:
          network: of layers that LiteRT is taught.
          threads: of the arithmetic.

        Raises:
          ModelError: for other layers.
        """
        check_supported(network.ops)
        self._network = network
        self._threads = threads
        self._interpreters: collections.OrderedDict[tuple, Interpreter] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """What the network makes of float32 [batch, height, width, channels], as float32."""
        values = np.ascontiguousarray(values, np.float32)
        with self._lock:
            interpreter = self._interpreter(values.shape)
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
            interpreter.invoke()
            return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    def _interpreter(self, shape: tuple[int, ...]) -> Interpreter:
        found = self._interpreters.get(shape)
        if found is None:
            while len(self._interpreters) >= KEPT:
                self._interpreters.popitem(last=False)
            found = Interpreter(model_content=self.model(shape), num_threads=self._threads)
            found.allocate_tensors()
            self._interpreters[shape] = found
        self._interpreters.move_to_end(shape)
        return found

    def model(self, shape: tuple[int, ...]) -> bytes:
        """The LiteRT model of the network for inputs of a shape."""
        graph = Graph(shape)
        output = Layers(graph, self._network.weights).write(self._network.ops, 0)
        return graph.finish(output)


def start() -> None:
    """Has LiteRT say on standard error, once and for all, which delegate it made."""
    graph = Graph((1, 1, 1, 1))
    output = Layers(graph, {}).write((Relu({"op": "relu"}, {}),), 0)
    Interpreter(model_content=graph.finish(output), num_threads=1).allocate_tensors()
