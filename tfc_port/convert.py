"""Makes a SavedModel or checkpoint of tensorflow-compression readable without it.

    python -m tfc_port.convert SOURCE DESTINATION

SOURCE is a SavedModel, a checkpoint, or a folder of checkpoints, of which the newest is taken.
DESTINATION gets:
  checkpoint-1.*      a checkpoint with SOURCE's object graph: build the model with `tfc_port`, and
                      restore it by `tf.train.Checkpoint`, or by Keras's `load_weights`;
  variables.safetensors   every variable under its path in the object graph;
  report.json         the entropy models' tables found, and TFC's ops in a SavedModel's functions.

A SavedModel's functions are not converted: TFC's ops are part of their graphs. The program that
made them makes them anew after the import of `tfc_port`, with the variables restored.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import sys

import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file
from tensorflow.core.protobuf import saved_model_pb2

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_TFC_OPS = frozenset(
    {
        "CreateRangeDecoder",
        "CreateRangeEncoder",
        "EntropyDecodeChannel",
        "EntropyDecodeFinalize",
        "EntropyDecodeIndex",
        "EntropyEncodeChannel",
        "EntropyEncodeFinalize",
        "EntropyEncodeIndex",
        "PmfToQuantizedCdf",
        "RunLengthDecode",
        "RunLengthEncode",
        "RunLengthGammaDecode",
        "RunLengthGammaEncode",
        "StochasticRound",
    }
)


class ConversionError(Exception):
    """What is to be converted is not there, or the result can't be written."""


def convert(source: str, destination: str) -> dict:
    """Converts; see the module's docstring.

    Args:
      source: Path of a SavedModel, a checkpoint or a folder of checkpoints.
      destination: Path of a folder that does not exist, or is empty.

    Returns:
      What report.json says.

    Raises:
      ConversionError: if there is nothing to convert, or the destination is not empty.
    """
    prefix, tfc_ops = _find(pathlib.Path(source))
    target = pathlib.Path(destination)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConversionError(
            f"The destination must be an empty or new folder. Received: {target}."
        )
    try:
        reader = tf.train.load_checkpoint(str(prefix))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ConversionError(f"{prefix} is no checkpoint that can be read: {error}") from error
    variables = {
        name[: -len(_SUFFIX)]: np.asarray(reader.get_tensor(name))
        for name in sorted(reader.get_variable_to_shape_map())
        if name.endswith(_SUFFIX)
    }
    numeric = {name: value for name, value in variables.items() if value.dtype.kind in "biuf"}
    target.mkdir(parents=True, exist_ok=True)
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        if path.name.endswith(".index") or ".data-" in path.name:
            shutil.copyfile(path, target / f"checkpoint-1{path.name[len(prefix.name) :]}")
    tf.compat.v1.train.update_checkpoint_state(str(target), "checkpoint-1")
    save_file(numeric, str(target / "variables.safetensors"))
    report = {
        "variables": len(variables),
        "left_out_of_safetensors": sorted(set(variables) - set(numeric)),
        "tables": [_describe(name, variables) for name in variables if _is_table(name, variables)],
        "tfc_ops_in_functions": tfc_ops,
    }
    (target / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def _find(source: pathlib.Path) -> tuple[pathlib.Path, list[str]]:
    """The prefix of the checkpoint in `source`, and TFC's ops in the functions beside it."""
    saved_model = source / "saved_model.pb"
    if saved_model.is_file():
        return source / "variables" / "variables", _tfc_ops(saved_model)
    if source.is_dir():
        newest = tf.train.latest_checkpoint(str(source))
        if newest is None:
            raise ConversionError(f"{source} holds neither a SavedModel nor a checkpoint.")
        return pathlib.Path(newest), []
    if not pathlib.Path(f"{source}.index").is_file():
        raise ConversionError(
            f"Expected a SavedModel, a checkpoint's prefix or a folder of them. Received: {source}."
        )
    return source, []


def _tfc_ops(path: pathlib.Path) -> list[str]:
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's errors have no common public base
        raise ConversionError(f"{path} is no SavedModel: {error}") from error
    found: set[str] = set()
    for meta_graph in model.meta_graphs:
        nodes = list(meta_graph.graph_def.node)
        for function in meta_graph.graph_def.library.function:
            nodes.extend(function.node_def)
        found.update(node.op for node in nodes if node.op in _TFC_OPS)
    return sorted(found)


def _is_table(name: str, variables: dict) -> bool:
    return name.endswith("/_cdf") and f"{name}_offset" in variables


def _describe(name: str, variables: dict) -> dict:
    cdf = variables[name]
    return {
        "entropy_model": name[: -len("/_cdf")],
        "rows": int(variables[f"{name}_offset"].size),
        "entries": int(cdf.size),
        "precision": int(abs(cdf[0])) if cdf.size else None,
    }


def main(arguments: list[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tfc_port.convert", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source")
    parser.add_argument("destination")
    options = parser.parse_args(arguments)
    try:
        report = convert(options.source, options.destination)
    except (ConversionError, OSError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 1
    print(f"{report['variables']} variables, {len(report['tables'])} entropy models with tables.")
    if report["tfc_ops_in_functions"]:
        print(
            "Functions with TFC's ops were left out: " + ", ".join(report["tfc_ops_in_functions"])
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
