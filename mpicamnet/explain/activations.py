"""What layers give for a patch, and the gradient of the network's output by it: one pass forward and back per batch for all layers."""
from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import UserError

Pooling = Literal["mean", "flatten"]


@dataclass(frozen=True)
class Probed:
    """Of n patches: for each layer its activations and the gradient of the output by them, float32 (n, d); the output (a logit), float32 (n,)."""

    activations: dict[str, npt.NDArray[np.float32]]
    gradients: dict[str, npt.NDArray[np.float32]]
    output: npt.NDArray[np.float32]


Probe = Callable[[npt.NDArray[np.uint8]], Probed]


def probed_layers(model: Any, wanted: list[str] | None) -> tuple[str, ...]:
    """Names of the layers to look at, `outer/inner` within a model inside the network.

    None: of the layers that give maps, from the first convolution on, the last of each size: the ends of the network's stages.
    Raises UserError where a layer does not exist (the nearest is named), or where none was named and none gives maps.
    """
    import keras

    every = {name: layer for name, layer in _layers(model, "")}
    if wanted is None:
        of_size: dict[tuple[int | None, ...], str] = {}
        for name, layer in every.items():
            size = layer.output.shape[1:3] if len(layer.output.shape) == 4 else (1, 1)
            convolution = isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.SeparableConv2D)
            if size != (1, 1) and (convolution or of_size) and "Padding" not in type(layer).__name__ and "Pooling" not in type(layer).__name__:
                of_size[size] = name
        if not of_size:
            raise UserError("this network has no convolution", getattr(model, "name", ""), "name the layers to look at in `explain.concepts.layers`")
        return tuple(sorted(of_size.values(), key=list(every).index))
    found = []
    for name in wanted:
        full = [n for n in every if name in (n, n.rpartition("/")[2])]
        if not full:
            known = {n.rpartition("/")[2].lower(): n for n in every} | {n.lower(): n for n in every}
            nearest = known[difflib.get_close_matches(name.lower(), list(known), 1, 0.0)[0]]
            raise UserError(f"the network has no layer `{name}`", "explain.concepts.layers", f"did you mean `{nearest}`?")
        found.append(full[-1])
    return tuple(found)


def probe(model: Any, layers: tuple[str, ...], pooling: Pooling, batch: int) -> Probe:
    """A function from px, uint8 (n, p, p, 3), to `Probed`.

    pooling
        mean: each channel's mean over the map; its gradient is that of moving the whole channel (the sum over the map). flatten: every place of the map.
    batch
        Patches at once. The last batch is filled up, so that what a patch gets does not depend on which others are asked for with it.

    Raises UserError where the output does not depend on a layer.
    """
    import keras
    import tensorflow as tf

    found, output = _tapped(model, set(layers), "")
    graph = keras.Model(output[0], [*(found[name] for name in layers), output[1]])

    def pooled(x: Any, reduce: Any) -> Any:
        if pooling == "mean" and len(x.shape) > 2:
            return reduce(x, axis=list(range(1, len(x.shape) - 1)))
        return tf.reshape(x, (batch, -1))

    # autograph would wrap a UserError in an error of its own
    @tf.function(jit_compile=False, autograph=False)  # type: ignore[untyped-decorator]
    def pass_both_ways(px: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(px)
            *maps, out = graph(px, training=False)
            out = tf.reshape(out, (batch, -1))[:, -1]
        gradients = tape.gradient(out, maps)
        for name, gradient in zip(layers, gradients, strict=True):
            if gradient is None:
                raise UserError(f"the network's output does not depend on layer `{name}`", "explain.concepts.layers", "take it out")
        return [pooled(m, tf.reduce_mean) for m in maps], [pooled(g, tf.reduce_sum) for g in gradients], out

    def of_patches(px: npt.NDArray[np.uint8]) -> Probed:
        parts: list[tuple[list[Any], list[Any], Any]] = []
        for first in range(0, len(px), batch):
            part = px[first:first + batch]
            n = len(part)
            if n < batch:
                part = np.concatenate([part, np.zeros((batch - n, *px.shape[1:]), np.uint8)])
            acts, grads, out = pass_both_ways(tf.constant(part, tf.float32))
            parts.append(([a.numpy()[:n] for a in acts], [g.numpy()[:n] for g in grads], out.numpy()[:n]))
        return Probed({name: np.concatenate([p[0][i] for p in parts]) for i, name in enumerate(layers)},
                      {name: np.concatenate([p[1][i] for p in parts]) for i, name in enumerate(layers)}, np.concatenate([p[2] for p in parts]))

    return of_patches


def _layers(model: Any, within: str) -> Iterator[tuple[str, Any]]:
    """Names and layers, those of models inside included, as the network stands written."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{within}{layer.name}/")
        elif not isinstance(layer, keras.layers.InputLayer) and isinstance(layer.output, keras.KerasTensor):
            yield within + layer.name, layer


def _tapped(model: Any, wanted: set[str], within: str) -> tuple[dict[str, Any], tuple[Any, Any]]:
    """The network laid anew over the same layers and weights: what the wanted layers give, by name, and its (input, output).

    A layer of a model inside gives nothing that the network's own graph can see; so the model inside is replaced by one that gives it too.
    """
    import keras

    found: dict[str, Any] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        name = within + layer.name
        if isinstance(layer, keras.Model) and any(w.startswith(name + "/") for w in wanted):
            inner, (given, result) = _tapped(layer, wanted, name + "/")
            *maps, out = keras.Model(given, [*inner.values(), result])(*args, **kwargs)
            found.update(zip(inner, maps, strict=True))
            return out
        out = layer(*args, **kwargs)
        if name in wanted:
            found[name] = out
        return out

    if isinstance(model, keras.Sequential):
        given = out = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
        for layer in model.layers:
            out = call(layer, out)
        return found, (given, out)
    copy = keras.models.clone_model(model, call_function=call, clone_function=lambda layer: layer)
    return found, (copy.input, copy.output)
