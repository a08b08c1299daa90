"""What a system offers so that `bin/train.py` trains it.

A system is a `TrainableSystem`, named by its entry in `tfhific/systems.py`. It says
what its optimisers and their variables are, and what one step is; a step hands its losses to
`minimise`, which does the rest: gradient accumulation, loss scaling, averaging over replicas,
clipping, and not applying what is not finite. The trainer (`tfhific.training`) sets learning
rates, saves and restores everything, and logs what the step returns.

    class Toy(TrainableSystem):
        def __init__(self):
            super().__init__()
            self.layer = keras.layers.Conv2D(3, 3, padding="same")

        def call(self, images):
            return self.layer(images)

        def build_for(self, options):
            self(tf.zeros([1, options.crop, options.crop, 3]))

        def parts(self):
            return {"layer": self.layer.trainable_variables}

        def train_step(self, images):
            def loss_of(images, draws):
                noisy = images + draws.normal("noise", tf.shape(images))
                mse = tf.reduce_mean((self(noisy) - images) ** 2, (1, 2, 3))
                return tf.reduce_mean(mse), {"loss": mse, "mse": mse}

            return self.minimise(loss_of, tf.cast(images, tf.float32) / 255.0)

A GAN has two entries in `build_optimizers` and `groups`, and calls `minimise` twice in a step, each
time on its own part of the batch and naming the optimisers that the loss is for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.data.source import RunData
from tfhific.errors import TfhificError
from tfhific.models.adam import Adam
from tfhific.models.draws import Draws
from tfhific.models.gradient_step import minimise
from tfhific.models.options import TrainingOptions
from tfhific.models.publishable import PublishedParts
from tfhific.models.training_state import Training

__all__ = ["TrainableSystem", "Training", "TrainingOptions"]


class TrainableSystem(keras.Model, PublishedParts):
    """Base of the systems that `bin/train.py` trains; see the module's text.

    To be implemented: `build_for`, `parts` and `train_step`; the rest has defaults.
    """

    STAGES = 1
    ADVERSARIES: tuple[str, ...] = ()
    USES_LPIPS = False
    WEIGHT_SETTINGS: tuple[str, ...] = ()
    """Settings on which depends what the published model's weights mean, though their shapes may be
    the same: `--init_from` wants them equal."""

    UNUSED: tuple[str, ...] = ()
    """Options that the system's own data has no use for: refused where they are not its default."""

    config: Any = None
    """The configuration dataclass, of a system that has one."""

    clip_norm: float = 0.0
    """Largest norm of a gradient where the model is compiled by hand, without a training state; 0
    for no limit."""

    training_state: Training | None = None

    @classmethod
    def defaults(cls, config, stage: int) -> dict:
        """Values of `TrainingOptions` that are this system's own, unless flags say otherwise.

        Args:
          config: the system's configuration.
          stage: that is asked for.
        """
        return {}

    @property
    def codec_model(self) -> keras.Model:
        """The model that is published: what remains of the system when training is over."""
        return self

    def build_for(self, options: TrainingOptions) -> None:
        """Makes all variables, by a call on images of the shape that will be trained on.

        Raises:
          TfhificError: when the options ask for something that the system doesn't have.
        """
        raise NotImplementedError

    def parts(self) -> dict[str, list]:
        """Trainable variables by the names that `--freeze` takes. Together they are all."""
        raise NotImplementedError

    def build_optimizers(self, options: TrainingOptions) -> dict[str, keras.optimizers.Optimizer]:
        """Optimisers by name, in the order in which logs show them."""
        return {"main": Adam(options.learning_rate)}

    def groups(self, options: TrainingOptions) -> dict[str, list]:
        """The variables of each optimiser, frozen ones included: those are left out later."""
        return {"main": list(self.codec_model.trainable_variables)}

    def train_step(self, data) -> dict:
        """One step on a batch, uint8 [batch, crop, crop, 3] unless the system has other data.

        Where it asks nothing of tensors in Python, `tf.autograph.experimental.do_not_convert` about
        it spares AutoGraph's conversion of all that it calls.

        Returns:
          float32 scalars for the log, "loss" among them.
        """
        raise NotImplementedError

    def before_step(self, step: int, progress: float, learning_rate: float) -> None:
        """Called before every step, outside of any graph, with the step's learning rate.

        Args:
          step: steps done so far.
          progress: the share of the run that is done, 0..1.
          learning_rate: of the schedule. The default gives it to every optimiser.
        """
        for optimizer in self.state().optimizers.values():
            optimizer.learning_rate.assign(learning_rate)

    def crops_per_step(self, options: TrainingOptions) -> int:
        """How many crops `train_step` gets; more than the batch size where a step has parts."""
        return options.batch_size

    @classmethod
    def averaged_variables(cls, model) -> list:
        """Which variables of the published model a moving average is kept of."""
        return list(model.trainable_variables)

    @classmethod
    def warm_start(cls, model, stored: set[str]) -> dict:
        """The parts of the published model that `--init_from` restores, by attribute name.

        Args:
          model: the published model.
          stored: names of the parts that the other run has.

        Returns:
          Parts by name, or an empty dict for all of the model.
        """
        return {}

    def use_labels(self, labeller) -> None:
        """Takes the label autoencoder of `--labels`.

        Args:
          labeller: `tfhific.models.labels.LabelAutoencoder`.

        Raises:
          TfhificError: when the system has no use for one.
        """
        raise TfhificError(f"`labels`: {type(self).__name__} predicts no labels.")

    def notices(self, options: TrainingOptions) -> list[str]:
        """What a user is told before the training begins, a line each."""
        return []

    def open_data(self, pattern: str, options: TrainingOptions) -> RunData | None:
        """Data of the system's own kind, or None for crops of images.

        Args:
          pattern: what `--data` says.
          options: how the system is trained.
        """
        return None

    def reconstructions(self, samples: np.ndarray) -> dict:
        """Named float image batches [n, height, width, 3] in 0..1 for TensorBoard.

        Args:
          samples: float32 [3, crop, crop, 3] in 0..255, the first crops of the run.
        """
        return {}

    def check_options(self, options: TrainingOptions) -> None:
        """Refuses what the system doesn't have.

        Raises:
          TfhificError: naming the flag.
        """
        name = type(self).__name__
        if not 1 <= options.stage <= self.STAGES:
            raise TfhificError(
                f"`stage`: {name} has {self.STAGES} stage{'s' * (self.STAGES > 1)}. "
                f"Received: {options.stage}."
            )
        if options.adversary and options.adversary not in self.ADVERSARIES:
            raise TfhificError(
                f"`adversary`: expected one of {', '.join(self.ADVERSARIES) or 'none'} for {name}. "
                f"Received: {options.adversary!r}."
            )
        if options.lpips and not self.USES_LPIPS:
            raise TfhificError(f"`lpips`: {name} has no perceptual loss.")
        own = dataclasses.asdict(TrainingOptions())
        own.update(self.defaults(self.config, options.stage))
        for option in self.UNUSED:
            if getattr(options, option) != own[option]:
                raise TfhificError(
                    f"`{option}`: {name} trains on whole pictures and has no use for it. "
                    f"Received: {getattr(options, option)}."
                )
        if options.accumulate > options.batch_size or options.batch_size % options.accumulate:
            raise TfhificError(
                f"`accumulate`: expected a divisor of the batch size {options.batch_size}. "
                f"Received: {options.accumulate}."
            )

    # From here on: for the trainer and for `train_step`.

    def state(self) -> Training:
        """What the system is trained with; a model compiled by hand has one too."""
        if self.training_state is None:
            options = TrainingOptions(clip_norm=self.clip_norm)
            optimizer = self.optimizer
            groups = {"main": self.trainable_variables}
            return Training(options, {"main": optimizer}, groups, optimizer.iterations)
        return self.training_state

    def draws(self, part=0) -> Draws:
        """The random numbers of this step on this replica."""
        training = self.state()
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return Draws(training.options.seed, training.step, replica, part)

    def minimise(
        self,
        loss_of: Callable,
        data,
        optimizers: Sequence[str] = ("main",),
        prefix: str = "",
    ) -> dict:
        """One gradient step of some optimisers on a loss: `tfhific.models.gradient_step.minimise`.

        Args:
          loss_of: takes a part of `data` and its `Draws`; returns a scalar loss and a dict of
            numbers for the log, of any shape, whose means are kept.
          data: tensors, nested, with a common batch axis; cut into `accumulate` parts.
          optimizers: which ones. Each moves the variables of its group.
          prefix: of "gradient_norm" in the result.

        Returns:
          The numbers for the log, float32 scalars, and the gradient's norm before clipping.
        """
        return minimise(self.state(), self.draws, loss_of, data, optimizers, prefix)
