"""Features of pictures by a network that the user names, for Frechet distances and KID.

A network is one of

- a SavedModel folder or a Keras file (`.h5`, `.keras`): images to features [batch, d], or to maps
  [batch, h, w, d], which are averaged over places;
- a frozen graph (`.pb`), fed and read as the Inception network that the Frechet inception distance
  was defined with (Heusel et al., NeurIPS 2017, arXiv 1706.08500): `ExpandDims:0` takes one
  picture in 0..255, `pool_3:0` gives 2,048 features;
- LPIPS weights (`.npz`): the backbone's last tap, averaged over places. A fallback where no
  Inception network is at hand; its distances compare codecs with one another and with nothing else.

Distances are of the network whose features they use, and are labelled with its name.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Iterator

import numpy as np

from tfhific.errors import ModelError
from tfhific.files.atomic import write_atomically

PATCH = 256
"""Side of the patches that features are of: Mentzer et al. 2020 (arXiv 2006.09965), appendix."""

_BATCH = 8
_RANGES = {"-1,1": (-1.0, 1.0), "0,1": (0.0, 1.0), "0,255": (0.0, 255.0)}
_FROZEN = ("ExpandDims:0", "pool_3:0")


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
    """A feature network by its path.

    Attributes:
      path: SavedModel folder, Keras file, frozen graph or LPIPS weights.
      label: what its distances are called, and the folder that keeps its features.
      value_range: of the pixels it takes, `-1,1`, `0,1` or `0,255`.
      size: side that patches are scaled to, or None for the network's own, else `PATCH`.
    """

    path: str
    label: str
    value_range: str = "-1,1"
    size: int | None = None

    def load(self) -> FeatureNetwork:
        """Loads the network.

        Raises:
          ModelError: nothing readable there.
        """
        return FeatureNetwork(self)


def feature_spec(path: str, value_range: str = "-1,1", size: int | None = None) -> FeatureSpec:
    """A spec, checked, and labelled with the file's name and digest.

    Raises:
      ModelError: nothing there, or a range or size that makes no sense.
    """
    from tfhific.evaluation.codecs import file_digest

    if value_range not in _RANGES:
        raise ModelError(
            f"Expected a range of pixels, one of {', '.join(_RANGES)}. Received: {value_range!r}."
        )
    if size is not None and not 8 <= size <= 4096:
        raise ModelError(f"Expected a side of 8 to 4096 pixels. Received: {size}.")
    name = os.path.basename(os.path.normpath(path))
    inner = os.path.join(path, "saved_model.pb") if os.path.isdir(path) else path
    if not os.path.isfile(inner):
        raise ModelError(
            f"{path!r}: expected a network, that is a SavedModel folder, a Keras file, a frozen "
            "graph (.pb) or LPIPS weights (.npz). Found nothing of the kind."
        )
    return FeatureSpec(path, f"{name}-{file_digest(inner)[:8]}", value_range, size)


def patches(pixels: np.ndarray, side: int = PATCH) -> np.ndarray:
    """Squares that tile a picture, and those that tile it from half a side further on.

    Args:
      pixels: uint8 [H, W, 3].
      side: of the squares; in a smaller picture, its shorter side.

    Returns:
      uint8 [n, side, side, 3], n at least 1. What fills no square is left out.
    """
    height, width = pixels.shape[:2]
    side = min(side, height, width)
    starts = (0, side // 2) if side > 1 else (0,)
    found = [
        pixels[top : top + side, left : left + side]
        for start in starts
        for top in range(start, height - side + 1, side)
        for left in range(start, width - side + 1, side)
    ]
    return np.stack(found)


class FeatureNetwork:
    """A loaded network.

    Attributes:
      spec: what it was loaded from.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self._size = spec.size
        self._call = self._load()

    def of_picture(self, pixels: np.ndarray) -> np.ndarray:
        """Features of a picture's patches.

        Args:
          pixels: uint8 [H, W, 3].

        Returns:
          float32 [patches, d].
        """
        return self(patches(pixels))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features of images of one size.

        Args:
          images: uint8 [n, side, side, 3].

        Returns:
          float32 [n, d].

        Raises:
          ModelError: when the network gives no features of these images.
        """
        import tensorflow as tf

        low, high = _RANGES[self.spec.value_range]
        found = []
        for start in range(0, len(images), _BATCH):
            batch = tf.cast(images[start : start + _BATCH], tf.float32)
            if self._size and batch.shape[1] != self._size:
                batch = tf.image.resize(batch, [self._size] * 2, antialias=True)
            try:
                features = np.asarray(self._call(batch * ((high - low) / 255) + low))
            except (tf.errors.OpError, ValueError, TypeError) as error:
                raise ModelError(
                    f"{self.spec.label}: expected a network of images {list(batch.shape)}. It "
                    f"refused them: {' '.join(str(error).split())[:200]}"
                ) from error
            if features.ndim == 4:
                features = features.mean((1, 2))
            if features.ndim != 2 or len(features) != len(batch):
                raise ModelError(
                    f"{self.spec.label}: expected features [batch, d] or [batch, h, w, d]. "
                    f"Received: {list(features.shape)}."
                )
            found.append(features.astype(np.float32))
        return np.concatenate(found)

    def _load(self) -> Callable:
        path = self.spec.path
        try:
            if path.endswith(".npz"):
                return _lpips_backbone(path)
            if path.endswith(".pb"):
                self.spec = dataclasses.replace(self.spec, value_range="0,255")
                return _frozen_graph(path)
            if os.path.isdir(path):
                return self._saved_model(path)
            return self._keras_file(path)
        except ModelError:
            raise
        except Exception as error:  # loaders raise whatever their parsers do
            raise ModelError(
                f"{self.spec.label}: expected a network that loads. {type(error).__name__}: "
                f"{' '.join(str(error).split())[:200]}"
            ) from error

    def _saved_model(self, path: str) -> Callable:
        import tensorflow as tf

        loaded = tf.saved_model.load(path)
        signature = loaded.signatures.get("serving_default")
        if signature is None:
            self._fix_size(None)
            return _kept(loaded, lambda batch: _only(loaded(batch)))
        (name, wanted) = next(iter(signature.structured_input_signature[1].items()))
        self._fix_size(wanted.shape)
        return _kept(loaded, lambda batch: _only(signature(**{name: batch})))

    def _keras_file(self, path: str) -> Callable:
        from tfhific.backend import keras

        model = keras.models.load_model(path, compile=False)
        self._fix_size(model.input_shape)
        return lambda batch: model(batch, training=False)

    def _fix_size(self, shape) -> None:
        """Takes the side that the network asks for, unless the user said another."""
        if self._size is None and shape is not None and len(shape) == 4:
            self._size = shape[1]


def _kept(owner: object, call: Callable) -> Callable:
    """The call, holding on to what owns its variables."""

    def run(batch):
        return call(batch) if owner is not None else None

    return run


def _only(outputs):
    if isinstance(outputs, dict):
        if len(outputs) != 1:
            raise ValueError(f"expected one output, received {', '.join(sorted(outputs))}")
        return next(iter(outputs.values()))
    return outputs


def _frozen_graph(path: str) -> Callable:
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    with open(path, "rb") as stream:
        graph.ParseFromString(stream.read())

    def read():
        tf.compat.v1.import_graph_def(graph, name="")

    wrapped = tf.compat.v1.wrap_function(read, [])
    feed, fetch = (wrapped.graph.get_tensor_by_name(name) for name in _FROZEN)
    pruned = wrapped.prune(feed, fetch)

    def run(batch):
        one_by_one = [pruned(image[None]) for image in batch]
        return np.stack([np.asarray(each).reshape(-1) for each in one_by_one])

    return run


def _lpips_backbone(path: str) -> Callable:
    from tfhific.losses.lpips import LPIPS

    network = LPIPS(path)
    return lambda batch: network.features(batch)[-1]


def keep_array(path: str, array: np.ndarray) -> None:
    """Writes an array, whole or not at all."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    held = io.BytesIO()
    np.save(held, array, allow_pickle=False)
    write_atomically(path, held.getvalue(), overwrite=True)


def read_arrays(paths: list[str]) -> Iterator[np.ndarray]:
    """Reads what `keep_array` wrote."""
    for path in paths:
        yield np.load(path, allow_pickle=False)
