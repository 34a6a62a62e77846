"""A network as one flat list of steps, models within models included: to find a layer, and to run the network while looking at what a layer gives.

Keras keeps a graph per model and hides those within; `Functional._run_through_graph` is the one way to walk them with something other than
the model itself, so it is used here, and here alone.
"""
from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import UserError


@dataclass(frozen=True)
class Step:
    """One call of a layer: its place in the list, its name (`outer/inner` within a model), the steps it reads, the shape it gives."""

    place: int
    name: str
    layer: Any
    reads: tuple[int, ...]
    shape: tuple[int | None, ...]

    @property
    def gives_maps(self) -> bool:
        """(n, h, w, k), not of a single place."""
        return len(self.shape) == 4 and self.shape[1:3] != (1, 1)


@dataclass(frozen=True)
class _Token:
    """What stands for a tensor while the steps are listed: the step that gives it, -1 for the network's input."""

    place: int


def steps(model: Any) -> list[Step]:
    """The network's layers in an order in which they can run; the last one gives its output. Raises UserError where it has no graph."""
    import keras

    found: list[Step] = []

    def walk(graph: Any, tokens: list[_Token], within: str) -> list[_Token]:
        def listed(layer: Any) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                read = [t for t in keras.tree.flatten((args, kwargs)) if isinstance(t, _Token)]
                inner = _graph_of(layer)
                if inner is not None:
                    return walk(inner, read, f"{within}{layer.name}/")
                outputs = layer._inbound_nodes[0].outputs
                found.append(Step(len(found), within + layer.name, layer, tuple(t.place for t in read), tuple(outputs[0].shape)))
                return [_Token(len(found) - 1) for _ in outputs]

            return call

        given = graph._run_through_graph(tokens, operation_fn=listed)
        return [t for t in keras.tree.flatten(given) if isinstance(t, _Token)]

    graph = _graph_of(model)
    if graph is None:
        raise UserError("this network has no graph whose layers can be found", getattr(model, "name", ""),
                        "build it with Keras' functional or sequential interface")
    last = walk(graph, [_Token(-1) for _ in graph.inputs], "")[0]
    return [*found[:last.place], *found[last.place + 1:], found[last.place]] if last.place != len(found) - 1 else found


def _graph_of(layer: Any) -> Any | None:
    """The graph of a model, None for what is no model or has none."""
    import keras

    if isinstance(layer, keras.Sequential):
        return layer._functional
    return layer if hasattr(layer, "_run_through_graph") else None


def last_maps(model: Any) -> Step:
    """The last maps that the network makes by convolution: going back from its output, the first step that gives maps, does not pool, and that
    all paths to the output pass; where towers stand side by side to the end, the first of either.

    So normalisation and activation that follow the last convolution belong to it: these maps are what the head reads.
    Raises UserError where there is no convolution.
    """
    import keras

    layers = keras.layers
    convolutions = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Conv2DTranspose)
    every = steps(model)
    by_place = {s.place: s for s in every}
    behind: set[int] = set()  # places with a convolution at or before them
    for s in sorted(every, key=lambda s: s.place):
        if isinstance(s.layer, convolutions) or any(p in behind for p in s.reads):
            behind.add(s.place)
    ahead = {every[-1].place}
    aside: Step | None = None
    while ahead:
        step = by_place[max(ahead)]  # in this order, a step that stands alone is one that all paths pass
        if step.gives_maps and step.place in behind and "Pooling" not in type(step.layer).__name__:
            if len(ahead) == 1:
                return step
            aside = aside or step
        ahead = (ahead - {step.place}) | {p for p in step.reads if p >= 0}
    if aside is not None:
        return aside
    raise UserError("this network has no convolution to look at", getattr(model, "name", ""), "leave cam, gradcam and gradcam++ out of `explain.methods`")


def layer_named(model: Any, name: str) -> Step:
    """The step of a layer, by its name or its name within a model (`outer/inner`); of several calls the last.

    Raises UserError, naming the nearest, where there is none.
    """
    every = steps(model)
    found = [s for s in every if name in (s.name, s.name.rsplit("/", 1)[-1])]
    if found:
        return found[-1]
    known = {s.name.rsplit("/", 1)[-1]: s.name for s in every} | {s.name: s.name for s in every}
    nearest = difflib.get_close_matches(name, list(known), 1, 0.0)
    raise UserError(f"the network has no layer `{name}`", "explain.layer", f"did you mean `{nearest[0]}`?")


def maps_step(model: Any, layer: str | None) -> Step:
    """The step whose maps are looked at: the named layer's, else the last maps. Raises UserError where the layer gives no maps."""
    if layer is None:
        return last_maps(model)
    step = layer_named(model, layer)
    if not step.gives_maps:
        raise UserError(f"layer `{layer}` gives no maps, but {step.shape}", "explain.layer", f"name a layer that gives maps, e.g. `{last_maps(model).name}`")
    return step


def run(model: Any, inputs: Any, step: Step, see: Callable[[Any], None]) -> tuple[Any, Any]:
    """Run the network on tensors, not in training; returns what `step` gives and the network's output. `see` is called with the first before
    anything is made of it."""
    seen: list[Any] = []

    def of(graph: Any, values: Any) -> Any:
        def looked_at(layer: Any) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                inner = _graph_of(layer)
                if inner is not None:
                    return of(inner, args[0])
                if "training" in inspect.signature(layer.call).parameters:
                    kwargs["training"] = False  # the graph may have kept True, as of layers that augment
                out = layer(*args, **kwargs)
                if layer is step.layer:
                    see(out)
                    seen.append(out)
                return out

            return call

        return graph._run_through_graph(values, operation_fn=looked_at)

    out = of(_graph_of(model), inputs)
    return seen[-1], out[0] if isinstance(out, (list, tuple)) else out
