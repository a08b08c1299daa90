"""Imports a checkpoint of HiFiC's PyTorch implementation: import_torch.py CKPT OUT_DIR.

OUT_DIR becomes a model that every other command takes by its folder. The checkpoint is read
without executing anything in it.
"""

from __future__ import annotations

import os

from absl import flags

from tfhific.commands import common, launcher

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_bool("overwrite", False, "Replace a model that is in OUT_DIR.")
    flags.DEFINE_bool("half", False, "Round kernels to half precision: half the size.")
    flags.DEFINE_bool("ignore_extra", False, "Leave out tensors that HiFiC does not have.")
    flags.DEFINE_enum(
        "reader",
        "auto",
        ["auto", "torch", "own"],
        "Read with torch's loader of weights alone, with our own, or with whichever can.",
    )


def import_torch(argv: list[str]) -> int:
    from tfhific.errors import OutputError, TfhificError, named
    from tfhific.files.own_inputs import refuse_own_input
    from tfhific.published.store import FILE_NAME, save_model

    if len(argv) != 3:
        raise TfhificError("Expected two arguments, CKPT and OUT_DIR. See --help.")
    checkpoint, folder = argv[1:]
    target = os.path.join(folder, FILE_NAME)
    refuse_own_input(target, [checkpoint])
    if os.path.exists(target) and not FLAGS.overwrite:
        raise OutputError(f"{folder!r} holds a model already: --overwrite replaces it.")

    common.start_tensorflow()
    from tfhific.interop.hific_checkpoint import model_of
    from tfhific.interop.torch_checkpoint import read_checkpoint
    from tfhific.publishing.hyperprior import publish

    use_torch = {"auto": None, "torch": True, "own": False}[FLAGS.reader]
    contents = read_checkpoint(checkpoint, use_torch)
    with named(checkpoint):
        imported = model_of(contents, FLAGS.ignore_extra)
    del contents
    name = os.path.basename(os.path.abspath(folder))
    training = {"system": "hific", "imported": imported.facts}
    published = publish(imported.model, name, training, half=FLAGS.half)
    path = save_model(published, folder)
    for tensor in imported.ignored:
        common.say(f"ignored: {tensor}")
    print(
        f"{path}: {os.path.getsize(path):,} bytes, fingerprint {published.fingerprint.hex()}, "
        f"{imported.model.count_params():,} parameters"
    )
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: import_torch(argv), argv, positional=2)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
