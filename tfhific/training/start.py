"""From options to a run that is ready to train: data, model, optimisers, checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfhific import systems
from tfhific.backend import keras
from tfhific.data.crops import Augmentation
from tfhific.data.images import ImageData, open_pictures
from tfhific.data.source import RunData, check_run_data
from tfhific.errors import TfhificError
from tfhific.models.frozen import without_frozen
from tfhific.models.system import TrainableSystem, TrainingOptions
from tfhific.models.training_state import LossScale, Training
from tfhific.publishing.publishable import check_publishable
from tfhific.training.folder import check_run_folder
from tfhific.training.restore import restore_trained
from tfhific.training.run import Run, RunOptions, find_checkpoint, read_config, write_config
from tfhific.training.strategy import (
    check_batch,
    distributable,
    make_strategy,
    scope,
    worker_number,
)
from tfhific.training.warm_start import check_source, find_source, warm_start

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
FIXED = ("stage", "adversary", "freeze", "crop", "precision")
"""Options that a run can't change halfway."""

KEEPING = ("save_every", "log_every", "image_every")
"""Fields of `RunOptions` that a resumed run takes over, unless they are given anew."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be trained, and how.

    Attributes:
      system: its name in the systems.
      config: its configuration dataclass.
      options: how it is trained.
      data: what `open_pictures` takes, or the system's own.
      steps: of the run, 0 for no such limit.
      minutes: of the run, 0 for no such limit.
      init_from: folder of a run or a published model whose weights this one begins with, or "".
      preset: name of the configuration that `config` began as, or "".
    """

    system: str
    config: Any
    options: TrainingOptions
    data: str
    steps: int = 0
    minutes: float = 0.0
    init_from: str = ""
    preset: str = ""

    def to_json(self, **more) -> dict:
        """The content of the run's `config.json`."""
        options = dataclasses.asdict(self.options)
        kept = {name: options[name] for name in ("seed", "crop", "batch_size", "learning_rate")}
        return {
            "system": self.system,
            "config": dataclasses.asdict(self.config),
            "preset": self.preset,
            "options": options,
            "data": self.data,
            "steps": self.steps,
            "minutes": self.minutes,
            "init_from": self.init_from,
            **kept,
            **more,
        }


def new_plan(system: str, settings: dict, preset: str, flags: dict, **rest) -> Plan:
    """The plan of a new run.

    Args:
      system: its name.
      settings: replaced fields of its configuration.
      preset: name of a ready-made configuration, or "".
      flags: options that were given; what is missing is the system's default.
      **rest: other fields of the plan.

    Raises:
      TfhificError: for what doesn't exist or makes no sense.
    """
    config = systems.configuration(system, settings, preset)
    stage = flags.get("stage", 1)
    defaults = systems.training_class(system).defaults(config, stage)
    options = TrainingOptions(**{**defaults, **flags})
    _check(options)
    return Plan(system, config, options, preset=preset, **rest)


def resumed_plan(
    run_dir: str,
    flags: dict,
    *,
    system: str | None = None,
    preset: str | None = None,
    settings: dict | None = None,
    **rest,
) -> Plan:
    """The plan of a run that goes on: what it began with, but for what is given anew.

    Args:
      run_dir: folder of the run.
      flags: options that were given.
      system: that was named, or None; has to be the run's.
      preset: the same of its ready-made configuration.
      settings: fields of its configuration that were given; have to be the run's.
      **rest: other fields of the plan that were given.

    Raises:
      TfhificError: when the folder holds no run, or what was given can't be changed halfway.
    """
    stored = read_config(run_dir)
    _check_same(stored, system, preset, settings)
    known = {field.name for field in dataclasses.fields(TrainingOptions)}
    # Runs from before options were kept have these four.
    old = {k: stored[k] for k in ("seed", "crop", "batch_size", "learning_rate") if k in stored}
    options = {**old, **stored.get("options", {})}
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items() if k in known}
    for name in FIXED:
        if name in flags and flags[name] != options.get(name, getattr(TrainingOptions, name)):
            raise _halfway(name, repr(options.get(name)))
    flags = {k: v for k, v in flags.items() if k != "seed"}
    changed = TrainingOptions(**{**options, **flags})
    _check(changed)
    return Plan(
        stored["system"],
        systems.configuration(stored["system"], stored["config"]),
        changed,
        data=rest.get("data") or stored.get("data", ""),
        steps=rest.get("steps") or (0 if rest.get("minutes") else stored.get("steps", 0)),
        minutes=rest.get("minutes") or (0 if rest.get("steps") else stored.get("minutes", 0.0)),
        init_from=stored.get("init_from", ""),
        preset=stored.get("preset", ""),
    )


def resumed_keeping(run_dir: str) -> dict[str, int]:
    """How a run was kept when it was begun: fields of `RunOptions`, as far as it says.

    Raises:
      TfhificError: when the folder holds no run.
    """
    stored = read_config(run_dir).get("keeping", {})
    known = stored if isinstance(stored, dict) else {}
    return {name: known[name] for name in KEEPING if isinstance(known.get(name), int)}


def _halfway(name: str, has: str) -> TfhificError:
    return TfhificError(
        f"`{name}` can't change halfway: this run has {has}. Begin another with `init_from`."
    )


def _check_same(stored: dict, system: str | None, preset: str | None, settings: dict | None):
    """Refuses a system or a configuration that is not the run's own."""
    if system is not None and system != stored["system"]:
        raise _halfway("model", stored["system"])
    config = systems.configuration(stored["system"], stored["config"])
    # A run from before their names were kept is told by what it was made of.
    unnamed = "preset" not in stored and preset is not None
    if unnamed and config == systems.configuration(stored["system"], {}, preset):
        preset = None
    if preset is not None and preset != stored.get("preset"):
        raise _halfway("config", repr(stored.get("preset", "")))
    if settings:
        ours = dataclasses.asdict(config)
        theirs = systems.configuration(stored["system"], {**stored["config"], **settings})
        other = {k: ours[k] for k, v in dataclasses.asdict(theirs).items() if v != ours[k]}
        if other:
            raise _halfway("settings", json.dumps(other))


def _check(options: TrainingOptions) -> None:
    if options.precision not in PRECISIONS:
        raise TfhificError(
            f"`precision`: expected one of {', '.join(PRECISIONS)}. "
            f"Received: {options.precision!r}."
        )
    if not 0.0 <= options.ema < 1.0:
        raise TfhificError(f"`ema`: expected a decay from 0 to below 1. Received: {options.ema}.")


@dataclasses.dataclass
class Session:
    """A run that is ready.

    Attributes:
      run: model, optimisers and checkpoints.
      data: crops of images, or the system's own.
      plan: what it was made from.
      restored: whether it goes on from a checkpoint.
      strategy: of several devices, or None.
      notices: what a user is to be told before the training begins.
    """

    run: Run
    data: RunData
    plan: Plan
    restored: bool
    strategy: object = None
    notices: list[str] = dataclasses.field(default_factory=list)

    def dataset(self) -> tf.data.Dataset:
        """Endless batches from the run's step on."""
        return distributable(self.data.batches(self.run.step))

    def reconstructions(self) -> dict:
        """Images for TensorBoard."""
        return self.run.model.reconstructions(self.data.samples(3))


def begin(
    plan: Plan, keep: RunOptions, *, resume: bool, strategy: str = "none", xla: bool = False
) -> Session:
    """Makes everything that a run needs; writes `config.json` last, when all went well.

    Args:
      plan: what is trained and how.
      keep: where the run is kept.
      resume: go on from the latest checkpoint, where there is one.
      strategy: "none", "mirrored" or "multiworker".
      xla: compile the step with XLA.

    Raises:
      TfhificError: when something that the plan names is missing or doesn't fit.
    """
    options = plan.options
    check_run_folder(keep.run_dir)
    distribution = make_strategy(strategy)
    check_batch(distribution, options.batch_size, options.accumulate)
    if strategy == "multiworker":
        if plan.minutes:
            raise TfhificError("`minutes`: workers need a number of `steps` to end together.")
        keep = dataclasses.replace(keep, worker=worker_number())
    source = ""
    if plan.init_from and (not resume or find_checkpoint(keep.run_dir) is None):
        source = find_source(plan.init_from)
        check_source(source, plan.system, plan.config)
    keras.utils.set_random_seed(options.seed)
    with _policy(options.precision), scope(distribution):
        model = systems.create_trainable(plan.system, plan.config)
        model.check_options(options)
        data = model.open_data(plan.data, options)
        if data is None:
            data = _images(plan, model.crops_per_step(options))
        check_run_data(data, f"`open_data` of {type(model).__name__}")
        # Data of which nothing can be read is told before there is a run.
        data.samples(1)
        if options.labels:
            model.use_labels(restore_trained(options.labels)[0])
        model.build_for(options)
        check_publishable(model.codec_model)
        model.training_state = _training(model, options)
        optimizers = model.training_state.optimizers
        model.compile(optimizer=next(iter(optimizers.values())), jit_compile=xla)
        # What a step reports is the mean over replicas already; Keras would sum it.
        model.distribute_reduction_method = "first"
        run = Run(model, keep, options.ema)
    restored = resume and run.restore()
    notices = model.notices(options)
    if source and not restored:
        notices += warm_start(run, source)
    if keep.worker == 0:
        kept = {name: getattr(keep, name) for name in KEEPING}
        _write_plan(keep.run_dir, plan.to_json(images=data.count, keeping=kept))
    return Session(run, data, plan, restored, distribution, notices)


def _training(model: TrainableSystem, options: TrainingOptions) -> Training:
    groups = without_frozen(model, options)
    optimizers = model.build_optimizers(options)
    return Training(
        options,
        {name: optimizer for name, optimizer in optimizers.items() if groups.get(name)},
        groups,
        tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="step",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        ),
        LossScale() if options.precision == "mixed_float16" else None,
    )


def _images(plan: Plan, crops_per_step: int) -> ImageData:
    options = plan.options
    augmentation = Augmentation(
        options.downscale_min, options.downscale_max, options.downscale_share, options.flip
    )
    return ImageData(
        open_pictures(plan.data), options.crop, crops_per_step, options.seed, augmentation
    )


def _write_plan(run_dir: str, content: dict) -> None:
    if os.path.exists(os.path.join(run_dir, "config.json")) and read_config(run_dir) == content:
        return
    write_config(run_dir, content)


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    """Layers made in this block compute in a precision of the given policy."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
