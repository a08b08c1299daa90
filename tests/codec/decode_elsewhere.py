"""Decodes files in this process's settings and says what came out: run as a child process.

decode_elsewhere.py MODEL_FOLDER CODER PRECISION OUT.npz FILE.tfh...

With INDEXES_ONLY in the environment it says which tables the float branch would choose, no more.
"""

from __future__ import annotations

import functools
import os
import sys

import numpy as np


def _leave_out_xnnpack() -> None:
    """LiteRT's own kernels then compute everything."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from tfhific.runtimes.litert import network

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    network.Interpreter = functools.partial(Interpreter, experimental_op_resolver_type=plain)


def main() -> None:
    folder, coder, precision, out, *paths = sys.argv[1:]
    import tensorflow as tf

    import tfhific
    from tfhific.codec.encoded import Encoded

    threads = int(os.environ.get("INTRA_OP_THREADS", "0"))
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    runtime = os.environ.get("RUNTIME", "tensorflow")
    if os.environ.get("WITHOUT_XNNPACK"):
        _leave_out_xnnpack()
    codec = tfhific.load(
        folder,
        coder=None if coder == "default" else coder,
        precision=precision,
        runtime=runtime,
    )
    limit = len(codec.published.scales) - 1
    results: dict[str, np.ndarray] = {"tensorflow": np.array(tf.__version__)}
    stacked: dict[tuple, list[np.ndarray]] = {}
    for number, path in enumerate(paths):
        with open(path, "rb") as file:
            data = file.read()
        latents = codec.decode_latents(data)
        rows = slice(0, latents.y.shape[0])
        floats = codec.transforms.scale_indexes(latents.z, rows, latents.y.shape[1])
        results[f"{number}/float_branch"] = np.rint(np.clip(floats, 0, limit)).astype(np.int32)
        if "INDEXES_ONLY" in os.environ:
            continue
        results[f"{number}/y"], results[f"{number}/z"] = latents.y, latents.z
        # What `decompress` does with what it decodes, without decoding it a second time.
        picture = codec.reconstruct(Encoded(codec.unpack(data), latents.y_hat))
        assert number > 2 or np.array_equal(picture, codec.decompress(data))
        results[f"{number}/picture"] = picture
        stacked.setdefault(latents.z.shape, []).append(latents.z)
    for count in (1, 4):
        same = True
        for zs in stacked.values():
            batch = np.stack((zs * count)[:count])
            whole = codec.published.branch(batch)
            same &= all(
                np.array_equal(whole[i], codec.published.branch(z[None])[0])
                for i, z in enumerate(batch)
            )
        results[f"batch_of_{count}"] = np.array(same)
    np.savez(out, **results)


if __name__ == "__main__":
    main()
