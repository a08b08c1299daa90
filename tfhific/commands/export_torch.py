"""Exports HiFiC as a checkpoint of its PyTorch implementation: export_torch.py MODEL CKPT.

MODEL is a model's name or folder; it must be of the variant `pytorch`.
"""

from __future__ import annotations

from absl import flags

from tfhific.commands import common, launcher

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_bool("overwrite", False, "Replace CKPT.")


def export_torch(argv: list[str]) -> int:
    from tfhific import systems, zoo
    from tfhific.errors import TfhificError
    from tfhific.files.file_kinds import refuse_other_kind
    from tfhific.files.own_inputs import refuse_own_input

    if len(argv) != 3:
        raise TfhificError("Expected two arguments, MODEL and CKPT. See --help.")
    name, destination = argv[1:]
    common.refuse_existing(destination, FLAGS.overwrite)
    refuse_own_input(destination, [zoo.find_by_name(name)])
    refuse_other_kind(destination, [".pt", ".pth", ".ckpt"], "a checkpoint")

    common.start_tensorflow()
    import tfhific
    from tfhific.interop.torch_writer import write_checkpoint

    published = tfhific.load(name).published
    checkpoint_of = systems.checkpoint_maker(published)
    facts = published.training.get("imported")
    contents = checkpoint_of(
        systems.trainable(published), facts if isinstance(facts, dict) else None
    )
    write_checkpoint(destination, contents, FLAGS.overwrite)
    print(f"{destination}: {len(contents['model_state_dict'])} tensors")
    return 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: export_torch(argv), argv, positional=2)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
