"""What a system offers so that `bin/train.py` trains it.

A system is a `TrainableSystem`, entered with one line in `tfhific/systems.py`. It says
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
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import TfhificError
from tfhific.models.draws import Draws
from tfhific.models.options import TrainingOptions

__all__ = ["LossScale", "TrainableSystem", "Training", "TrainingOptions", "without_frozen"]


@dataclasses.dataclass
class Training:
    """What a system is trained with; the trainer makes and checkpoints it.

    Attributes:
      options: how.
      optimizers: by name.
      groups: each optimiser's variables.
      step: int64 scalar variable, or anything that reads as one: steps done so far.
      loss_scale: for float16, or None.
    """

    options: TrainingOptions
    optimizers: dict
    groups: dict[str, list]
    step: object
    loss_scale: LossScale | None = None


class LossScale(tf.Module):
    """The factor that keeps float16 gradients from vanishing.

    It halves when a gradient overflows, whose step is left out, and doubles after `PATIENCE`
    gradients that were finite.
    """

    PATIENCE = 2000

    def __init__(self, initial: float = 2.0**15) -> None:
        super().__init__(name="loss_scale")
        mirrored = {
            "trainable": False,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        self.scale = tf.Variable(initial, dtype=tf.float32, name="scale", **mirrored)
        self.finite_steps = tf.Variable(0, dtype=tf.int64, name="finite_steps", **mirrored)

    def update(self, finite: tf.Tensor) -> None:
        """Takes note of whether a gradient was finite."""
        steps = tf.where(finite, self.finite_steps + 1, 0)
        grow = steps >= self.PATIENCE
        scale = tf.where(finite, self.scale, tf.maximum(self.scale / 2.0, 1.0))
        self.scale.assign(tf.where(grow, tf.minimum(scale * 2.0, 2.0**24), scale))
        self.finite_steps.assign(tf.where(grow, tf.zeros_like(steps), steps))


class TrainableSystem(keras.Model):
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
        return {"main": keras.optimizers.Adam(options.learning_rate)}

    def groups(self, options: TrainingOptions) -> dict[str, list]:
        """The variables of each optimiser, frozen ones included: those are left out later."""
        return {"main": list(self.codec_model.trainable_variables)}

    def train_step(self, data) -> dict:
        """One step on a batch, uint8 [batch, crop, crop, 3] unless the system has other data.

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

    def open_data(self, pattern: str, options: TrainingOptions):
        """Data of the system's own kind, or None for crops of images.

        What is returned has `batches(first_step)`, an endless `tf.data.Dataset`; `samples(count)`,
        what `reconstructions` gets; `describe()`, a few words for the log; `count`, of pictures;
        `skipped`, a dict of what could not be read and why. `tfhific.data.images.ImageData` is one.
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
        config = getattr(self, "config", None)
        own = {**dataclasses.asdict(TrainingOptions()), **self.defaults(config, options.stage)}
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
            options = TrainingOptions(clip_norm=getattr(self, "clip_norm", 0.0))
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
        """One gradient step of some optimisers on a loss.

        Args:
          loss_of: takes a part of `data` and its `Draws`; returns a scalar loss and a dict of
            numbers for the log, of any shape, whose means are kept.
          data: tensors, nested, with a common batch axis; cut into `accumulate` parts.
          optimizers: which ones. Each moves the variables of its group.
          prefix: of "gradient_norm" in the result.

        Returns:
          The numbers for the log, float32 scalars, means over parts and replicas, and the
          gradient's norm before clipping. Where it is not finite, nothing was changed; with loss
          scaling it is reported as 0 as long as the scale can still be lowered.
        """
        training = self.state()
        names = [name for name in optimizers if training.groups.get(name)]
        variables = [v for name in names for v in training.groups[name]]
        gradients, report = self._gradients(loss_of, data, variables)
        scale = training.loss_scale
        if scale is not None:
            gradients = [g / scale.scale for g in gradients]
        norm = tf.linalg.global_norm(gradients) if gradients else tf.zeros([])
        finite = tf.math.is_finite(norm)
        limit = training.options.clip_norm
        if limit > 0 and gradients:
            gradients, _ = tf.clip_by_global_norm(gradients, limit, use_norm=norm)
        if gradients:
            self._apply(finite, names, gradients)
        report[f"{prefix}gradient_norm"] = norm
        if scale is not None:
            lowered = tf.logical_and(tf.logical_not(finite), scale.scale > 1.0)
            report[f"{prefix}gradient_norm"] = tf.where(lowered, 0.0, norm)
            report["loss_scale"] = tf.identity(scale.scale)
            scale.update(finite)
        return report

    def _gradients(self, loss_of, data, variables) -> tuple[list, dict]:
        training = self.state()
        scale = training.loss_scale
        count = training.options.accumulate

        def measure(part):
            pieces = data
            if count > 1:
                pieces = tf.nest.map_structure(lambda x: _part(x, part, count), data)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                loss, report = loss_of(pieces, self.draws(part))
                target = tf.cast(loss, tf.float32)
                target = target * scale.scale if scale is not None else target
            gradients = tape.gradient(
                target, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            report = {k: tf.reduce_mean(tf.cast(v, tf.float32)) for k, v in report.items()}
            return [tf.convert_to_tensor(g) for g in gradients], report

        gradients, report = measure(0)
        if count > 1:
            total = tf.while_loop(
                lambda part, *_: part < count,
                lambda part, *sums: (
                    part + 1,
                    *tf.nest.map_structure(tf.add, sums, measure(part)),
                ),
                (1, gradients, report),
                parallel_iterations=1,
            )
            gradients, report = tf.nest.map_structure(lambda x: x / count, total[1:])
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            gradients, report = context.all_reduce(tf.distribute.ReduceOp.MEAN, (gradients, report))
        return list(gradients), dict(report)

    def _apply(self, finite: tf.Tensor, names: list[str], gradients: list) -> None:
        """Applies finite gradients; otherwise weights, slots and counts stay as they are."""
        training = self.state()

        def apply(*gradients) -> None:
            place = 0
            for name in names:
                variables = training.groups[name]
                pairs = zip(gradients[place : place + len(variables)], variables)
                place += len(variables)
                training.optimizers[name].apply_gradients(pairs, skip_gradients_aggregation=True)

        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            _when(finite, lambda: apply(*gradients))
            return

        # With several replicas an optimiser calls all of them together, which a branch of one
        # replica must not: the branch itself is taken by all of them together.
        def together(strategy, finite, *gradients) -> None:
            finite = strategy.experimental_local_results(finite)[0]
            _when(finite, lambda: strategy.extended.call_for_each_replica(apply, gradients))

        context.merge_call(together, (finite, *gradients))


def _when(condition: tf.Tensor, do: Callable) -> None:
    def yes() -> tf.Tensor:
        do()
        return tf.constant(True)

    tf.cond(condition, yes, lambda: tf.constant(False))


def _part(x: tf.Tensor, part, count: int) -> tf.Tensor:
    size = x.shape[0] // count if x.shape[0] is not None else -1
    return tf.reshape(x, tf.concat([[count, size], tf.shape(x)[1:]], 0))[part]


def without_frozen(system: TrainableSystem, options: TrainingOptions) -> dict[str, list]:
    """A system's groups less what `--freeze` names.

    Raises:
      TfhificError: for a part that the system doesn't have, or when nothing is left to train.
    """
    parts = system.parts() if options.freeze else {}
    unknown = sorted(set(options.freeze) - set(parts))
    if unknown:
        raise TfhificError(
            f"`freeze`: expected parts among {', '.join(parts)}. Received: {', '.join(unknown)}."
        )
    frozen = _identities(v for name in options.freeze for v in parts[name])
    groups = {
        name: [v for v in variables if id(v) not in frozen]
        for name, variables in system.groups(options).items()
    }
    if not any(groups.values()):
        raise TfhificError("`freeze`: nothing is left to train.")
    return groups


def _identities(variables: Iterable) -> set[int]:
    return {id(variable) for variable in variables}
