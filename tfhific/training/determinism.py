"""Training that gives the same bits every time."""

from __future__ import annotations

import tensorflow as tf

from tfhific.errors import TfhificError


def compute_deterministically() -> None:
    """Makes this thread's functions compute the same bits in every process of one machine.

    TensorFlow's own switch settles what its kernels do, and is enough on a GPU. On a CPU it is not:
    the executor decides by measured times which operations it runs next, and `AddN` begins its sum
    with whichever input's memory it can reuse by then, so that a gradient with three parts differs
    in its last bit now and then. Rounded latents make that grow. An executor with one thread has
    one order.

    Raises:
      TfhificError: when TensorFlow has run something already.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        raise TfhificError(
            "Deterministic computing has to be chosen before TensorFlow runs anything."
        ) from None
    tf.config.experimental.enable_op_determinism()
    # TensorFlow has no public name for the executor of functions.
    from tensorflow.python.eager import context

    options = context.context().function_call_options
    options.executor_type = "SINGLE_THREADED_EXECUTOR"
    context.context().function_call_options = options
