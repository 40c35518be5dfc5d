"""Functions of TensorFlow on NumPy arrays, with derivatives by tf.GradientTape."""

from typing import Any

import numpy as np
import tensorflow as tf

FEW = 32
"""Elements that are asked for in a loop; so many calls cost less than tf.vectorized_map needs to look at one."""


class Differentiated:
    """A binding whose method `called` takes and gives tensors."""

    framework = "tensorflow"

    def called(self, logits: Any, targets: Any, **keywords: Any) -> Any:
        """The canonical call in tensors."""
        raise NotImplementedError

    def loss(self, logits: Any, targets: Any, **keywords: Any) -> Any:
        """The loss of NumPy arrays."""
        return np.asarray(self.called(tf.constant(logits), tf.constant(targets), **keywords).numpy())

    def value_and_gradient(self, logits: Any, targets: Any, **keywords: Any) -> tuple[Any, Any]:
        """The loss of NumPy arrays, and the derivative of its sum in the logits."""
        x = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = self.called(x, tf.constant(targets), **keywords)
        gradient = tape.gradient(value, x)
        if gradient is None:
            raise TypeError("tf.GradientTape finds no way from the result to the logits")
        return np.asarray(value.numpy()), np.asarray(gradient.numpy())


def one_by_one(function: Any, logits: Any, targets: Any) -> Any:
    """What a function of targets and logits that gives one number gives for each element alone."""
    size = int(np.prod(logits.shape))
    if not size:
        return logits
    x, t = tf.reshape(logits, [-1, 1]), tf.reshape(targets, [-1, 1])
    if size > FEW:
        results = tf.vectorized_map(lambda pair: function(pair[1], pair[0]), (x, t))
    else:
        results = tf.stack([function(t[i], x[i]) for i in range(size)])
    return tf.reshape(results, logits.shape)
