"""A LiteRT model as it is written: tensors of fixed shapes, operators, constants.

A model is a FlatBuffer of TensorFlow Lite's schema (version 3), whose Python classes come with
LiteRT. It is made from a published network in memory each time a network meets an input of another
shape; nothing is stored beside the published model that could be another's, and models that were
published before LiteRT was supported run as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_VERSION = 3
_IDENTIFIER = b"TFL3"
_TYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}

Shape = tuple[int, ...]


class Graph:
    """A model under construction, with one input and one output of float32.

    Attributes:
      shapes: of the tensors, which are numbered from 0; the input is 0.
    """

    def __init__(self, shape: Shape) -> None:
        """Initializer.

        Args:
          shape: of the input.
        """
        self.shapes: list[Shape] = []
        self._tensors: list[schema.TensorT] = []
        # Buffer 0 is by convention that of all tensors without constant values.
        self._buffers = [schema.BufferT()]
        self._codes: dict[int, int] = {}
        self._operators: list[schema.OperatorT] = []
        self._tensor(shape, "float32", 0)

    def _tensor(self, shape: Shape, dtype: str, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.shape = np.array(shape, np.int32)
        tensor.type = _TYPES[dtype]
        tensor.buffer = buffer
        tensor.name = f"t{len(self._tensors)}".encode()
        self._tensors.append(tensor)
        self.shapes.append(tuple(int(side) for side in shape))
        return len(self._tensors) - 1

    def constant(self, values: np.ndarray) -> int:
        """A tensor of values, float32 or int32."""
        values = np.ascontiguousarray(values)
        buffer = schema.BufferT()
        buffer.data = values.reshape(-1).view(np.uint8)
        self._buffers.append(buffer)
        return self._tensor(values.shape, values.dtype.name, len(self._buffers) - 1)

    def add(
        self,
        code: int,
        inputs: Sequence[int],
        shape: Shape,
        options: tuple[int, object] | None = None,
    ) -> int:
        """An operator.

        Args:
          code: of `schema.BuiltinOperator`.
          inputs: numbers of tensors.
          shape: of what it gives.
          options: number in `schema.BuiltinOptions`, and the settings.

        Returns:
          The number of the tensor that it gives.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault(code, len(self._codes))
        operator.inputs = np.array(inputs, np.int32)
        output = self._tensor(shape, "float32", 0)
        operator.outputs = np.array([output], np.int32)
        if options is not None:
            operator.builtinOptionsType, operator.builtinOptions = options
        self._operators.append(operator)
        return output

    def finish(self, output: int) -> bytes:
        """The model's bytes.

        Args:
          output: the number of the tensor that the model gives.
        """
        subgraph = schema.SubGraphT()
        subgraph.tensors = self._tensors
        subgraph.inputs = np.array([0], np.int32)
        subgraph.outputs = np.array([output], np.int32)
        subgraph.operators = self._operators
        model = schema.ModelT()
        model.version = _VERSION
        model.operatorCodes = [_operator_code(code) for code in self._codes]
        model.subgraphs = [subgraph]
        model.buffers = self._buffers
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
        return bytes(builder.Output())


def _operator_code(code: int) -> schema.OperatorCodeT:
    entry = schema.OperatorCodeT()
    # The older field holds what a byte can; readers take the larger of the two.
    entry.deprecatedBuiltinCode = min(code, 127)
    entry.builtinCode = code
    entry.version = 1
    return entry
