"""Makes weights to train on with of a published `mini2` model: weights_of.py MODEL OUT.safetensors.

`train.py --init_from=OUT.safetensors` begins with them. Needs the packages of the project and not
PyTorch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or folder of the published model")
    parser.add_argument("out", type=Path, help="file to write, .safetensors")
    options = parser.parse_args()
    if options.out.exists():
        raise SystemExit(f"error: {options.out} is there already; name another file.")
    from keras_weights import state_of
    from safetensors.numpy import save_file

    import tfhific
    from tfhific.errors import TfhificError

    try:
        model = tfhific.load(options.model).model
    except TfhificError as error:
        raise SystemExit(f"error: {error}") from None
    state = {name: value.astype(np.float16) for name, value in state_of(model).items()}
    save_file(state, options.out, metadata={"config": json.dumps(dataclasses.asdict(model.config))})
    print(f"{options.out}: {sum(value.size for value in state.values()):,} weights")


if __name__ == "__main__":
    main()
