"""Gives mutated files to the decoder: fuzz.py [FILE.tfh] [--count=N] [--repair].

Without FILE, a small picture is compressed first. Exit code 1 if anything but a refusal or a
picture of the header's size came out.
"""

from __future__ import annotations

import os
import sys

from absl import flags

from tfhific.commands import common, launcher, paths

FLAGS = flags.FLAGS


def define_flags() -> None:
    paths.define_path("model", "mini", "Name or folder of the model.")
    flags.DEFINE_string("coder", None, "Implementation of the entropy coder.")
    flags.DEFINE_integer("count", 1000, "Mutations.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Chooses the mutations.")
    flags.DEFINE_bool("repair", False, "Give every mutated file a checksum that fits.")
    paths.define_path("keep", None, "Folder for the files that came out wrong.")


def fuzz(argv: list[str]) -> int:
    import hashlib
    import resource

    import numpy as np
    from tqdm import tqdm

    import tfhific
    from tfhific.bitstream import fuzz as fuzzing
    from tfhific.files.atomic import write_atomically
    from tfhific.files.jobs import ensure_folder, read_bytes

    common.start_tensorflow()
    if len(argv) > 1:
        data = read_bytes(argv[1])
        codec = tfhific.load_for(data, coder=FLAGS.coder)
    else:
        codec = tfhific.load(FLAGS.model, coder=FLAGS.coder)
        ramp = np.arange(48, dtype=np.uint8)
        image = np.stack([np.tile(ramp * 5, (40, 1))] * 3, -1)
        image[10:30, 10:30] = 200
        data = codec.compress(image)
    with tqdm(total=FLAGS.count, leave=False, disable=not sys.stderr.isatty()) as bar:
        tally = fuzzing.fuzz(
            codec.decompress,
            data,
            count=FLAGS.count,
            seed=FLAGS.seed,
            repaired=FLAGS.repair,
            progress=bar.update,
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"a file of {len(data):,} bytes, checksum {'repaired' if FLAGS.repair else 'as it was'}: "
        f"tried {tally.tried:,}, refused {tally.refused:,}, accepted and equal {tally.equal:,}, "
        f"other pictures {tally.other:,}, wrong {len(tally.wrong):,}; slowest "
        f"{tally.slowest:.2f} s, peak memory {memory:.0f} MiB"
    )
    wrong = dict(tally.wrong)
    for number, what in list(wrong.items())[:20]:
        print(f"  mutation {number}: {what}")
    if wrong and FLAGS.keep:
        ensure_folder(FLAGS.keep)
        # What another file's mutations left there, this file among it, is not replaced.
        origin = hashlib.sha256(data).hexdigest()[:12] + ("-repaired" if FLAGS.repair else "")
        made = fuzzing.mutations(data, FLAGS.count, FLAGS.seed, FLAGS.repair)
        for number, changed in enumerate(made):
            if number in wrong:
                path = os.path.join(FLAGS.keep, f"{origin}-seed{FLAGS.seed}-{number}.tfh")
                write_atomically(path, changed, overwrite=True)
    return 1 if wrong else 0


def main(argv: list[str]) -> int:
    return common.guarded(lambda: fuzz(argv), argv, positional=1)


def run() -> None:
    launcher.launch(define_flags, main, __doc__)


if __name__ == "__main__":
    run()
