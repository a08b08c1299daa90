"""Makes a published model of a run of `train.py`: publish.py WEIGHTS NAME --data=DIR --out=DIR.

WEIGHTS is the run's `weights.safetensors`, or what `weights_of.py` makes of a published model. Of a
run of `realistic.py`, `--stream_of=MODEL` publishes another decoder for its files: the synthesis
transform alone, which finds the rest by the name of MODEL's folder. With `--whole`, or where the
run trained its encoder too, it is all of a model. Needs the project's packages and not PyTorch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if TYPE_CHECKING:
    from tfhific.published.hyperprior import HyperpriorModel
    from tfhific.published.model import PublishedModel

CALIBRATION_QUALITIES = (1.0, 2.5, 4.0, 6.0, 8.0)
ENCODER = ("analysis", "hyper_analysis")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="weights.safetensors")
    parser.add_argument("name", help="of the published model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model's folder")
    parser.add_argument("--data", type=Path, help="photographs to fit the tables to")
    parser.add_argument("--stream_of", help="model whose files a run's decoder is for")
    parser.add_argument(
        "--dead_zone", type=float, default=0.0, help="steps for a bit, as bin/publish.py has it"
    )
    parser.add_argument("--whole", action="store_true", help="write all of the codec with it too")
    parser.add_argument("--images", type=int, default=48, help="how many of them, spread evenly")
    parser.add_argument("--training", type=json.loads, default={}, help="JSON: how it came about")
    return parser.parse_args()


def read_weights(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays by PyTorch's names, float32, and the configuration's fields."""
    from safetensors import safe_open

    with safe_open(str(path), "numpy") as file:
        config = json.loads((file.metadata() or {})["config"])
        names = list(file.keys())
        return {name: file.get_tensor(name).astype(np.float32) for name in names}, config


def keras_model(weights: Path):
    """The Keras `Mini2` with a run's weights."""
    import tensorflow as tf
    from keras_weights import assign

    from tfhific.models.mini2 import Mini2, Mini2Config

    state, config = read_weights(weights)
    model = Mini2(Mini2Config(**config))
    model(tf.zeros([1, 64, 64, 3]))
    assign(model, state)
    return model


def near(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether arrays are alike: a run's were rounded to half precision, what is published again."""
    return ours.shape == theirs.shape and np.allclose(
        ours.astype(np.float32), theirs.astype(np.float32), rtol=0.01, atol=2e-3
    )


def another_decoder(run: HyperpriorModel, other: HyperpriorModel) -> HyperpriorModel:
    """`other` with the synthesis transform of a run that began with its weights.

    And with its encoder, where the run trained that too.

    Raises:
      SystemExit: where the run's other networks are not `other`'s.
    """
    trained: dict[str, str] = {}
    for name, network in other.networks.items():
        own = run.networks[name].weights
        for key, value in network.weights.items():
            if key not in own or not near(own[key], value):
                trained[name] = key
    strange = set(trained) - {"synthesis", *ENCODER}
    if strange:
        raise SystemExit(
            f"error: expected a run that began with the weights of {other.name} and trained the "
            f"synthesis transform alone, or the encoder too; {trained[min(strange)]} differs."
        )
    changes: dict[str, Any] = {}
    networks = {**other.networks, "synthesis": run.networks["synthesis"]}
    if set(trained) & set(ENCODER) or not near(run.log_gain, other.log_gain):
        networks |= {name: run.networks[name] for name in ENCODER}
        changes["log_gain"] = run.log_gain
    return dataclasses.replace(
        other,
        name=run.name,
        networks=networks,
        training=run.training,
        config=run.config,
        **changes,
    )


def main() -> None:
    options = parse()
    if options.stream_of and options.data:
        raise SystemExit(
            "error: expected --stream_of or --data, not both: tables are taken or fitted."
        )
    if options.stream_of and options.dead_zone:
        raise SystemExit(
            "error: expected --stream_of or --dead_zone, not both: that model's is taken."
        )
    if not options.dead_zone >= 0:
        raise SystemExit(
            f"error: --dead_zone: expected a number of at least 0. Received: {options.dead_zone}."
        )
    from tfhific.data.folders import list_images
    from tfhific.errors import TfhificError
    from tfhific.files.own_inputs import refuse_own_input
    from tfhific.pictures.images import read_picture
    from tfhific.published.store import FILE_NAME, load_hyperprior, model_files, save_model
    from tfhific.publishing.calibration import calibrate
    from tfhific.publishing.decoder import decoder_alone, missing_codec
    from tfhific.publishing.hyperprior import publish
    from tfhific.zoo import find_by_name

    model = keras_model(options.weights)
    training = {"system": "mini2", **options.training}
    published = publish(model, options.name, training, dead_zone=options.dead_zone)
    stored: PublishedModel = published
    if options.stream_of:
        try:
            folder = find_by_name(options.stream_of)
            refuse_own_input(str(options.out / options.name / FILE_NAME), model_files(folder))
            stored = another_decoder(published, load_hyperprior(folder))
            if not options.whole:
                stored = decoder_alone(stored, folder)
        except TfhificError as error:
            raise SystemExit(f"error: {error}") from None
    elif options.data:
        paths = list_images(str(options.data))
        paths = paths[:: max(len(paths) // options.images, 1)][: options.images]
        images = (read_picture(path).pixels for path in paths)
        stored = calibrate(published, images, CALIBRATION_QUALITIES, dead_zone=options.dead_zone)
    path = save_model(stored, options.out / options.name)
    print(f"{path}: {Path(path).stat().st_size:,} bytes, {stored.fingerprint.hex()}")
    missing = missing_codec(stored, str(options.out / options.name))
    if missing:
        print(f"note: {missing}", file=sys.stderr)


if __name__ == "__main__":
    main()
