"""Adam (Kingma and Ba 2015) as one operation a variable."""

from __future__ import annotations

import tensorflow as tf

from tfhific.backend import keras


class Adam(keras.optimizers.Adam):
    """Keras's Adam, by TensorFlow's own operation where that computes the same.

    Keras composes a variable's step of some forty operations: seconds of tracing and optimising
    where there are hundreds of variables. Slots, configuration and checkpoints are Keras's.
    """

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Moves a variable and its moments by a gradient of its shape and dtype."""
        # The last is an option of newer Keras only.
        composed = self.amsgrad or getattr(self, "adaptive_epsilon", False)
        if composed or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        dtype = variable.dtype
        place = self._index_dict[self._var_key(variable)]
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].handle,
            v=self._velocities[place].handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(self.learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=gradient,
        )
