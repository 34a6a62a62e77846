"""Batch normalisation over the rows of all ranks; and networks with it, without it, in one precision or another.

Horovod's own layer does not work with Keras 3 (it asks for an attribute that is gone). Mean and mean square of a layer's inputs are averaged over the ranks
in the forward pass; Horovod finds the gradient of that by itself.
"""
from __future__ import annotations

import functools
from typing import Any


@functools.cache
def layer_class() -> Any:
    """The Keras layer class; made when TensorFlow has been started."""
    import keras
    import tensorflow as tf

    @keras.saving.register_keras_serializable("mpicamnet")
    class SyncBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
        """keras.layers.BatchNormalization whose statistics in training are those of all ranks' rows."""

        def _moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
            import horovod.tensorflow as hvd

            mean, variance = super()._moments(inputs, mask)
            both = hvd.allreduce(tf.stack([mean, variance + tf.square(mean)]), op=hvd.Average)
            return both[0], both[1] - tf.square(both[0])

    return SyncBatchNormalization


def synchronised(model: Any) -> Any:
    """The network with each BatchNormalization made one over all ranks, and the same weights."""
    import keras

    return _cloned(model, lambda layer: layer_class().from_config(layer.get_config()) if type(layer) is keras.layers.BatchNormalization else None)


def ordinary(model: Any) -> Any:
    """The network as any Keras can load it: in float32, with Keras' own layers, and the same weights."""
    import keras

    def layer_of(layer: Any) -> Any:
        kind = keras.layers.BatchNormalization if isinstance(layer, layer_class()) else type(layer)
        return kind.from_config({**layer.get_config(), "dtype": "float32"})

    return _cloned(model, layer_of)


def _cloned(model: Any, layer_of: Any) -> Any:
    import keras

    def clone(layer: Any) -> Any:
        found = layer_of(layer) if isinstance(layer, keras.layers.Layer) else None  # a bare operation, such as a flip of channels, is no layer
        return found or type(layer).from_config(layer.get_config())

    made = keras.models.clone_model(model, clone_function=clone, recursive=True)
    made.set_weights(model.get_weights())
    return made
