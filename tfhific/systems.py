"""Systems by name: where each one's configuration, model, publisher, codec and graph are.

An entry is all that adding a system takes beside its own files. What it names is imported when it
is asked for: this module imports nothing else, so that decoding loads nothing that only training
needs.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfhific.errors import ModelError, TfhificError

if TYPE_CHECKING:
    from tfhific.codec.base import Codec
    from tfhific.published.model import PublishedModel
    from tfhific.publishing.options import Publisher


@dataclasses.dataclass(frozen=True)
class System:
    """Where a system's parts are, each as "module:name". The defaults are those of a hyperprior.

    Attributes:
      config: configuration dataclass. A dict `PRESETS` in its module names ready-made ones.
      model: class of the model that is published, made as `Model(config)`.
      training: the `TrainableSystem`, made as `Class(config)`; empty where it is the model itself.
      publisher: a `tfhific.publishing.options.Publisher`; empty where it is never published.
      codec: the `tfhific.codec.base.Codec`.
      graph: the `tfhific.serving.graph.base.GraphCodec`; empty where none is made.
      trainable: makes the Keras model of a published one; empty where none can be.
      checkpoint: makes the contents of another implementation's checkpoint, of the Keras model and
        what is known of an imported one; empty where there is no other.
    """

    config: str
    model: str
    training: str = ""
    publisher: str = "tfhific.publishing.calibration:publish_hyperprior_run"
    codec: str = "tfhific.codec.hyperprior:HyperpriorCodec"
    graph: str = "tfhific.serving.graph.hyperprior:GraphHyperprior"
    trainable: str = "tfhific.publishing.trainable:trainable"
    checkpoint: str = ""


_CENTRES = {
    "model": "tfhific.models.extreme:Extreme",
    "publisher": "tfhific.publishing.centres:publish_extreme_run",
    "codec": "tfhific.codec.centres:CentresCodec",
    "graph": "",
    "trainable": "",
}
_INVERTED = {"codec": "tfhific.codec.inversion:InversionCodec", "graph": "", "trainable": ""}

SYSTEMS = {
    "mini": System("tfhific.models.mini:MiniConfig", "tfhific.models.mini:Mini"),
    "mini2": System("tfhific.models.mini2:Mini2Config", "tfhific.models.mini2:Mini2"),
    "gc": System(
        "tfhific.models.extreme:GCConfig",
        **{**_CENTRES, "graph": "tfhific.serving.graph.centres:GraphCentres"},
    ),
    "sc": System("tfhific.models.extreme:SCConfig", **_CENTRES),
    "inversion": System(
        "tfhific.models.inversion:InversionConfig",
        "tfhific.models.inversion:Inversion",
        publisher="tfhific.publishing.inversion:publish_inversion_run",
        **_INVERTED,
    ),
    "cgan": System(
        "tfhific.models.cgan:CGANConfig",
        "tfhific.models.cgan:CGAN",
        publisher="tfhific.publishing.inversion:publish_cgan_run",
        **_INVERTED,
    ),
    "hific": System(
        "tfhific.models.hific:HiFiCConfig",
        "tfhific.models.hific:HiFiC",
        training="tfhific.models.hific_training:HiFiCTraining",
        checkpoint="tfhific.interop.hific_checkpoint:checkpoint_of",
    ),
    "labels": System(
        "tfhific.models.labels:LabelConfig",
        "tfhific.models.labels:LabelAutoencoder",
        publisher="",
        codec="",
        graph="",
        trainable="",
    ),
}

_UNKNOWN = System("", "")
"""Of a published model whose system is not entered here: it codes as a hyperprior does."""


def _system(name: str) -> System:
    if name not in SYSTEMS:
        raise TfhificError(f"Expected a system among {', '.join(SYSTEMS)}. Received: {name!r}.")
    return SYSTEMS[name]


def part(place: str) -> Any:
    """What "module:name" names, imported."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _class_name(system: System) -> str:
    return system.model.partition(":")[2]


def known_as(stored: str, training: dict[str, Any] | None = None) -> str:
    """The name here of the system that a published model says it is of.

    Models were published under their class's name, in lower case, until a class could be that of
    a system of another name; what they say of their training has the one here.

    Args:
      stored: what the model says.
      training: how it came about, as far as it says.

    Returns:
      A system's name, or `stored` where it is of none.
    """
    if stored in SYSTEMS:
        return stored
    named = (training or {}).get("system")
    if named in SYSTEMS and _class_name(SYSTEMS[named]).lower() == stored:
        return named
    return next(
        (name for name, system in SYSTEMS.items() if _class_name(system).lower() == stored), stored
    )


def _system_of(stored: str, training: dict[str, Any] | None) -> System:
    return SYSTEMS.get(known_as(stored, training), _UNKNOWN)


def name_of(model: Any) -> str:
    """The name of the first system that a model's class is of, or the class's where it has none."""
    kind = type(model)
    for name, system in SYSTEMS.items():
        if system.model == f"{kind.__module__}:{kind.__name__}":
            return name
    return kind.__name__.lower()


# Training.


def presets(name: str) -> dict[str, Any]:
    """A system's named configurations; empty where it has none.

    Raises:
      TfhificError: for an unknown system.
    """
    module = importlib.import_module(_system(name).config.partition(":")[0])
    return dict(getattr(module, "PRESETS", {}))


def configuration(
    name: str, settings: dict[str, Any] | None = None, preset: str | None = None
) -> Any:
    """The configuration dataclass of a system, with some settings replaced.

    Args:
      name: the system's.
      settings: values by the names of the configuration's fields.
      preset: one of `presets(name)` to start from; None or empty for the dataclass's defaults.

    Raises:
      TfhificError: for an unknown system, preset or setting, or a setting that makes no sense.
    """
    config_type = part(_system(name).config)
    ready = presets(name)
    if preset and preset not in ready:
        raise TfhificError(
            f"{name} has no configuration {preset!r}. It has: {', '.join(ready) or 'none by name'}."
        )
    known = {field.name for field in dataclasses.fields(config_type) if field.init}
    unknown = sorted(set(settings or {}) - known)
    if unknown:
        raise TfhificError(
            f"{name} has no setting {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )
    # JSON has lists where a frozen dataclass has tuples.
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in (settings or {}).items()}
    try:
        if preset:
            return dataclasses.replace(ready[preset], **settings)
        return config_type(**settings)
    except (TypeError, ValueError) as error:
        raise TfhificError(f"{name} can't be configured so: {error}") from None


def create(name: str, config: Any, **kwargs: Any) -> Any:
    """A freshly initialised model of a system: the one that is published."""
    return part(_system(name).model)(config, **kwargs)


def training_class(name: str) -> Any:
    """The `TrainableSystem` class of a system."""
    system = _system(name)
    return part(system.training or system.model)


def create_trainable(name: str, config: Any) -> Any:
    """A freshly initialised `TrainableSystem`."""
    return training_class(name)(config)


# Publishing.


def publisher(name: str) -> Publisher:
    """What makes a published model of a system's trained one.

    Raises:
      TfhificError: for an unknown system, or one that is never published.
    """
    place = _system(name).publisher
    if not place:
        raise TfhificError(f"Models of {name} are for training others: none is published.")
    return part(place)


def can_be_trained(stored: str, training: dict[str, Any] | None = None) -> bool:
    """Whether a Keras model can be made of the published models of a system; see `known_as`."""
    return bool(_system_of(stored, training).trainable)


def trainable(published: PublishedModel) -> Any:
    """The Keras model of a published one, with its weights.

    Raises:
      TfhificError: where its system's models can't be trained further.
      ModelError: when the configuration is not known, or what is published does not fit it.
    """
    place = _system_of(published.system, published.training).trainable
    if not place:
        raise TfhificError(f"Published models of {published.system} can't be trained further.")
    return part(place)(published)


def checkpoint_maker(published: PublishedModel) -> Any:
    """What makes another implementation's checkpoint of a system's Keras model.

    Raises:
      ModelError: where there is no other implementation.
    """
    place = _system_of(published.system, published.training).checkpoint
    if not place:
        known = ", ".join(name for name, system in SYSTEMS.items() if system.checkpoint)
        raise ModelError(
            f"{published.name}: expected a model of {known}. Received: one of {published.system}."
        )
    return part(place)


# Coding and serving.


def codec_class(published: PublishedModel) -> type[Codec]:
    """The `tfhific.codec.base.Codec` class of a published model.

    Raises:
      TfhificError: where models of its system are no codecs.
    """
    place = _system_of(published.system, published.training).codec
    if not place:
        raise TfhificError(f"Models of {published.system} are no codecs.")
    return part(place)


def codec_of(
    published: PublishedModel, *, starting: Callable[[str], None] | None = None, **options: Any
) -> Codec:
    """The codec of a published model.

    Args:
      published: the model.
      starting: told the name of the runtime before it is used.
      **options: `coder`, `tile`, `max_pixels`, `precision`, `runtime`; see
        `tfhific.codec.base.Codec`.

    Raises:
      ModelError: when the model does not hold what one of its system holds.
      TfhificError: for options that the system doesn't have.
    """
    kind = codec_class(published)
    if starting is not None:
        asked = options.get("runtime", "auto"), options.get("precision", "float32")
        options["runtime"] = kind.runtime_for(published, *asked)
        starting(options["runtime"])
    return kind(published, **options)


def open_codec(folder: str | os.PathLike[str], **options: Any) -> Codec:
    """The codec of the published model in a folder.

    Args:
      folder: holds a model.
      **options: see `codec_of`.

    Raises:
      ModelError: when there is no model, or it is damaged.
      TfhificError: for options that the model's system doesn't have.
    """
    from tfhific.published.store import load_model

    codec = codec_of(load_model(folder), **options)
    codec.check_published(os.fspath(folder))
    return codec


def graph_class(published: PublishedModel) -> Any:
    """The `tfhific.serving.graph.base.GraphCodec` class of a published model.

    Raises:
      TfhificError: where no graph is made of its system's models.
    """
    place = _system_of(published.system, published.training).graph
    if not place:
        served = (name for name, system in SYSTEMS.items() if system.graph)
        raise TfhificError(
            f"Models of {published.system} can't be exported; those of {', '.join(served)} can."
        )
    return part(place)
