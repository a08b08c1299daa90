"""What a step of any system can be asked for: accumulation, replicas, precision, freezing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import TfhificError
from tfhific.models.draws import Draws
from tfhific.models.frozen import without_frozen
from tfhific.models.system import TrainableSystem, TrainingOptions
from tfhific.models.training_state import LossScale
from tfhific.training import trainer
from tfhific.training.restore import restore_weights
from tfhific.training.run import Run, RunOptions
from tfhific.training.schedule import Budget, StepSchedule
from tfhific.training.start import _policy, _training

SIDE = 8


class Toy(TrainableSystem):
    """A smallest GAN: a generator that sharpens, a discriminator, noise, two optimisers."""

    STAGES = 2
    ADVERSARIES = ("plain",)

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.layers.Conv2D(3, 3, padding="same")
        self.head = keras.layers.Dense(3)
        self.discriminator = keras.layers.Conv2D(1, 3)
        # Of a system's own: it is no weight of a layer, and must come back all the same.
        self.seen = tf.Variable(
            0.0, trainable=False, aggregation=tf.VariableAggregation.MEAN, dtype=tf.float32
        )

    def build_for(self, options):
        x = tf.zeros([1, SIDE, SIDE, 3])
        self.discriminator(self.head(self.generator(x)))

    def parts(self):
        return {
            "generator": self.generator.trainable_variables,
            "head": self.head.trainable_variables,
            "discriminator": self.discriminator.trainable_variables,
        }

    def build_optimizers(self, options):
        return {name: keras.optimizers.Adam(1.0) for name in ("generator", "discriminator")}

    def groups(self, options):
        parts = self.parts()
        return {
            "generator": [*parts["generator"], *parts["head"]],
            "discriminator": parts["discriminator"],
        }

    def train_step(self, data):
        first, second = tf.split(tf.cast(data, tf.float32), 2)

        def judge(images, draws):
            fake = self.head(self.generator(images))
            logits = [
                self.discriminator(x) for x in (images + draws.normal("n", images.shape), fake)
            ]
            real, fake = (tf.cast(x, tf.float32) for x in logits)
            return tf.reduce_mean((real - 1.0) ** 2 + fake**2), {}

        def make(images, draws):
            noisy = images + draws.uniform("u", tf.shape(images), -0.1, 0.1)
            fake = tf.cast(self.head(self.generator(noisy)), tf.float32)
            mse = tf.reduce_mean((fake - tf.sqrt(images)) ** 2, (1, 2, 3))
            judged = tf.reduce_mean(tf.cast(self.discriminator(fake), tf.float32))
            loss = tf.reduce_mean(mse) - 0.01 * judged
            return loss, {"loss": loss, "mse": mse}

        report = self.minimise(judge, first, ["discriminator"], "judge_")
        self.seen.assign_add(1.0)
        return {**report, **self.minimise(make, second, ["generator"])}


def batches(first, size=4, broken=None):
    def generate():
        step = first
        while True:
            data = np.random.default_rng(step).random([size, SIDE, SIDE, 3]).astype(np.float32)
            if step == broken:
                data[-1, 0, 0, 0] = np.nan
            yield data
            step += 1

    signature = tf.TensorSpec([size, SIDE, SIDE, 3], tf.float32)
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


def make_run(folder, ema=0.0, scope=None, **options) -> Run:
    options = TrainingOptions(**{"seed": 4, "clip_norm": 1.0, **options})
    keras.utils.set_random_seed(5)
    with _policy(options.precision):
        model = Toy()
        model.build_for(options)
        model.training_state = _training(model, options)
        model.compile(optimizer=next(iter(model.training_state.optimizers.values())))
        model.distribute_reduction_method = "first"
        return Run(model, RunOptions(str(folder), 4, 1, 0), ema)


def fit(run, steps=10, size=4, broken=None, say=lambda line: None):
    schedule = StepSchedule(0.01, (5,), 0.5, 2)
    return trainer.fit(run, batches(run.step, size, broken), schedule, Budget(steps), say=say)


def weights(run) -> list[np.ndarray]:
    return [v.numpy() for v in run.model.variables]


def everything(run) -> list[np.ndarray]:
    state = run.model.training_state
    slots = [v for optimizer in state.optimizers.values() for v in optimizer.variables]
    shadows = [*run.average.shadows, run.average.updates] if run.average else []
    return weights(run) + [v.numpy() for v in [*slots, *shadows, state.step]]


def assert_same(ours, theirs, **tolerance):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


class Killed(BaseException):
    pass


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_killed_run_of_several_optimisers_goes_on_to_the_same_numbers(precision, tmp_path):
    options = {"ema": 0.9, "precision": precision}
    lines, rest = [], []
    whole = make_run(tmp_path / "whole", **options)
    assert fit(whole, say=lines.append) == 10

    def kill(line):
        if line.startswith("step 6 "):
            raise Killed

    first = make_run(tmp_path / "run", **options)
    with pytest.raises(Killed):
        fit(first, say=kill)
    resumed = make_run(tmp_path / "run", **options)
    assert resumed.restore()
    assert resumed.step == 4
    assert fit(resumed, say=rest.append) == 10
    tolerance = {"rtol": 1e-2, "atol": 1e-3} if precision == "mixed_float16" else {}
    assert_same(everything(resumed), everything(whole), **tolerance)
    assert float(resumed.model.seen) == 10
    if precision == "float32":
        assert [line.split("  ")[3:] for line in rest] == [
            line.split("  ")[3:] for line in lines[4:]
        ]


def test_every_optimiser_has_its_turn_and_its_rate(tmp_path):
    run = make_run(tmp_path)
    before = weights(run)
    fit(run, steps=7)
    assert all(not np.array_equal(a, b) for a, b in zip(before, weights(run)))
    for optimizer in run.model.training_state.optimizers.values():
        assert int(optimizer.iterations) == 7
        assert float(optimizer.learning_rate) == pytest.approx(0.005)


@pytest.mark.parametrize("broken", [5])
def test_gradient_that_is_not_finite_changes_none_of_its_weights(broken, tmp_path):
    run = make_run(tmp_path)
    fit(run, steps=5)
    before = [v.numpy() for v in run.model.training_state.groups["generator"]]
    with pytest.raises(trainer.TrainingDiverged, match=r"step 6.*gradient_norm nan"):
        fit(run, broken=broken)
    assert_same([v.numpy() for v in run.model.training_state.groups["generator"]], before)
    assert int(run.model.training_state.optimizers["generator"].iterations) == 5


def test_batch_in_parts_gives_the_same_step(tmp_path):
    # Noise is drawn for each part: without noise the two would be equal.
    class Silent(Draws):
        def uniform(self, name, shape, low=0.0, high=1.0):
            return tf.zeros(shape)

        def normal(self, name, shape, deviation=1.0):
            return tf.zeros(shape)

    found = []
    for accumulate in (1, 2, 4):
        run = make_run(tmp_path / str(accumulate), accumulate=accumulate)
        run.model.draws = lambda part=0: Silent(0, 0)
        lines = []
        fit(run, steps=3, size=8, say=lines.append)
        found.append((weights(run), lines[-1].split("  ")[3:]))
    for values, line in found[1:]:
        assert_same(values, found[0][0])
        assert line == found[0][1]


def test_parts_of_a_batch_draw_their_own_numbers():
    def values(*place):
        return Draws(1, *place).uniform("a", [64]).numpy()

    places = [(3, 0, 0), (3, 0, 1), (3, 1, 0), (4, 0, 0)]
    drawn = [values(*place) for place in places]
    for number, one in enumerate(drawn):
        np.testing.assert_array_equal(one, values(*places[number]))
        assert not any(np.array_equal(one, other) for other in drawn[number + 1 :])
    draws = Draws(1, 3)
    assert not np.array_equal(draws.uniform("a", [9]), draws.uniform("b", [9]))
    assert not np.array_equal(draws.uniform("a", [9]), Draws(2, 3).uniform("a", [9]))
    graph = tf.function(lambda step: Draws(1, step).uniform("a", [64]))
    np.testing.assert_array_equal(graph(tf.constant(3, tf.int64)), values(3))
    assert np.ptp(Draws(0, 0).noise("z", tf.zeros([1000]))) < 1
    assert set(Draws(0, 0).integers("i", [100], 3).numpy()) == {0, 1, 2}


def test_frozen_parts_stay_and_the_others_move(tmp_path):
    run = make_run(tmp_path, freeze=("generator", "discriminator"))
    assert list(run.model.training_state.optimizers) == ["generator"]
    parts = run.model.parts()
    before = {name: [v.numpy() for v in variables] for name, variables in parts.items()}
    fit(run, steps=3)
    for name, variables in parts.items():
        moved = [not np.array_equal(v.numpy(), old) for v, old in zip(variables, before[name])]
        assert all(moved) == any(moved) == (name == "head")


def test_parts_that_do_not_exist_or_are_all_there_is_are_told():
    model = Toy()
    model.build_for(TrainingOptions())
    with pytest.raises(TfhificError, match=r"head, discriminator\. Received: tail"):
        without_frozen(model, TrainingOptions(freeze=("tail",)))
    with pytest.raises(TfhificError, match="nothing is left"):
        without_frozen(model, TrainingOptions(freeze=("generator", "head", "discriminator")))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stage": 3}, "`stage`: Toy has 2 stages"),
        ({"adversary": "other"}, "`adversary`: expected one of plain"),
        ({"lpips": "x.npz"}, "`lpips`"),
        ({"batch_size": 6, "accumulate": 4}, "`accumulate`"),
    ],
)
def test_options_that_a_system_does_not_have_are_told(options, said):
    with pytest.raises(TfhificError, match=said):
        Toy().check_options(TrainingOptions(**options))


def test_loss_scale_halves_on_overflow_and_grows_when_all_is_well(monkeypatch):
    monkeypatch.setattr(LossScale, "PATIENCE", 3)
    scale = LossScale(8.0)
    seen = []
    for finite in (True, True, True, True, False, True, False, False, False, False):
        scale.update(tf.constant(finite))
        seen.append(float(scale.scale))
    assert seen == [8, 8, 16, 16, 8, 8, 4, 2, 1, 1]


def test_float16_gradients_are_scaled_and_an_overflow_is_left_out(tmp_path):
    run = make_run(tmp_path, precision="mixed_float16")
    assert run.model.generator.compute_dtype == "float16"
    state = run.model.training_state
    state.loss_scale.scale.assign(2.0**24)
    before = [v.numpy() for v in state.groups["generator"]]
    image = tf.constant(np.random.default_rng(0).random([4, SIDE, SIDE, 3]) * 4e4, tf.float32)
    report = run.model.train_step(image)
    assert float(state.loss_scale.scale) < 2.0**24
    assert float(report["gradient_norm"]) == 0
    assert_same([v.numpy() for v in state.groups["generator"]], before)

    plain, scaled = make_run(tmp_path / "a"), make_run(tmp_path / "b", precision="mixed_float16")
    for fresh in (plain, scaled):
        fresh.model.before_step(0, 0.0, 1e-3)
    image = tf.constant(np.random.default_rng(0).random([4, SIDE, SIDE, 3]), tf.float32)
    norms = [float(r.model.train_step(image)["gradient_norm"]) for r in (plain, scaled)]
    assert norms[1] == pytest.approx(norms[0], rel=0.02)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_training_in_mixed_precision_lowers_the_loss(precision, tmp_path):
    lines = []
    fit(make_run(tmp_path, precision=precision), steps=40, say=lines.append)
    losses = [float(line.split("  mse ")[1].split()[0]) for line in lines]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_average_follows_the_weights_and_is_what_is_restored(tmp_path):
    run = make_run(tmp_path, ema=0.8)
    shadows = [v.numpy() for v in run.model.trainable_variables]
    for step in range(1, 9):
        fit(run, steps=step)
        rate = 1 - min(0.8, step / (9 + step))
        values = [v.numpy() for v in run.model.trainable_variables]
        shadows = [s + rate * (v - s) for s, v in zip(shadows, values)]
    assert_same([s.numpy() for s in run.average.shadows], shadows)
    for average, expected in ((True, shadows), (False, values)):
        model = Toy()
        model.build_for(TrainingOptions())
        restore_weights(model, str(tmp_path), Toy, average=average)
        assert_same([v.numpy() for v in model.trainable_variables], expected)


def test_average_can_be_switched_on_later(tmp_path):
    fit(make_run(tmp_path), steps=4)
    run = make_run(tmp_path, ema=0.5)
    assert run.restore()
    assert_same(
        [s.numpy() for s in run.average.shadows], [v.numpy() for v in run.model.trainable_variables]
    )


def test_checkpoint_of_another_model_is_told(tmp_path):
    class Wider(Toy):
        def __init__(self):
            super().__init__()
            self.generator = keras.layers.Conv2D(5, 3, padding="same")

    fit(make_run(tmp_path), steps=4)
    model = Wider()
    model.build_for(TrainingOptions())
    with pytest.raises(TfhificError, match="does not fit this model"):
        restore_weights(model, str(tmp_path), Wider)
    with open(tmp_path / "checkpoints" / "ckpt-4.index", "r+b") as file:
        file.truncate(40)
    with pytest.raises(TfhificError, match="cannot be read"):
        make_run(tmp_path).restore()


def test_steps_schedule_drops_at_its_boundaries():
    schedule = StepSchedule(1e-4, (10, 20), 0.1, 4)
    rates = [schedule(step, 0.9) for step in (0, 3, 9, 10, 19, 20, 10**6)]
    assert rates == pytest.approx([2.5e-5, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])


def test_options_are_data():
    assert TrainingOptions(**dataclasses.asdict(TrainingOptions(freeze=("a",)))).freeze == ("a",)
