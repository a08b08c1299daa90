"""Adam as one operation a variable: what Keras's does."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.models.adam import Adam

RATE = 1e-2


def _variables() -> list[tf.Variable]:
    rng = np.random.default_rng(0)
    return [tf.Variable(rng.normal(size=shape).astype("f")) for shape in ((5, 3), (7,), ())]


def _run(optimizer, steps: int, variables=None) -> list[tf.Variable]:
    variables = _variables() if variables is None else variables
    optimizer.build(variables)
    rng = np.random.default_rng(1)

    @tf.function(autograph=False)
    def step(*gradients):
        optimizer.apply_gradients(zip(gradients, variables))

    for _ in range(steps):
        scales = 10.0 ** rng.integers(-6, 3, len(variables))
        step(*(np.float32(rng.normal(size=v.shape) * s) for v, s in zip(variables, scales)))
    return variables


def _assert_near(found, expected) -> None:
    # Keras rounds 1 - beta to float32, the operation beta: 1.3e-5 of a second moment's step apart.
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value.numpy(), wanted.numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"beta_1": 0.5},
        {"epsilon": 1e-3},
        {"amsgrad": True},
        {"weight_decay": 0.1},
        {"clipnorm": 0.1},
        {"adaptive_epsilon": True, "epsilon": 1.0},
    ],
    ids=str,
)
def test_it_moves_variables_as_keras_adam_does(settings):
    if not settings.keys() <= inspect.signature(keras.optimizers.Adam).parameters.keys():
        pytest.skip("this Keras has no such option")
    mine, keras_own = Adam(RATE, **settings), keras.optimizers.Adam(RATE, **settings)
    _assert_near(_run(mine, 20), _run(keras_own, 20))
    _assert_near(mine.variables, keras_own.variables)


def test_rows_without_a_gradient_keep_their_moments_as_with_keras_adam():
    def run(optimizer):
        table = tf.Variable(np.ones([4, 2], np.float32))
        optimizer.build([table])
        for row in (0, 2, 2):
            values = tf.fill([1, 2], float(row + 1))
            optimizer.apply_gradients(
                [(tf.IndexedSlices(values, tf.constant([row]), [4, 2]), table)]
            )
        return [table, *optimizer.variables]

    _assert_near(run(Adam(RATE)), run(keras.optimizers.Adam(RATE)))


def test_it_goes_on_where_keras_adam_stopped(tmp_path):
    before = keras.optimizers.Adam(RATE)
    variables = _run(before, 3)
    path = tf.train.Checkpoint(optimizer=before).save(str(tmp_path / "saved"))
    after, copies = Adam(RATE), [tf.Variable(v) for v in variables]
    after.build(copies)
    tf.train.Checkpoint(optimizer=after).restore(path).assert_consumed()
    _assert_near(_run(after, 3, copies), _run(before, 3, variables))
    assert int(after.iterations) == 6


def test_a_step_has_a_few_operations_for_each_variable():
    variables = _variables()
    optimizer = Adam(RATE)
    optimizer.build(variables)

    def operations(count: int) -> int:
        @tf.function(autograph=False)
        def step():
            pairs = [(tf.ones_like(v), v) for v in variables[:count]]
            for gradient, variable in pairs:
                optimizer.update_step(gradient, variable)

        return len(step.get_concrete_function().graph.get_operations())

    assert operations(2) - operations(1) < 25


def test_its_learning_rate_is_followed_between_steps():
    optimizer, variable = Adam(RATE), tf.Variable(0.0)
    optimizer.build([variable])
    optimizer.apply_gradients([(tf.constant(1.0), variable)])
    first = float(variable)
    optimizer.learning_rate.assign(0.0)
    optimizer.apply_gradients([(tf.constant(1.0), variable)])
    assert first == pytest.approx(-RATE, rel=1e-4)
    assert float(variable) == first
