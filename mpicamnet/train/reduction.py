"""Gradients of all ranks become one, the same on all: averaged or by Adasum, in messages of a size of our choosing.

The messages are cut here and not by Horovod, which puts together whatever is ready within a cycle: with three ranks and more the order of an
element's sum depends on its place in the message, so two runs would differ in the last bit. A message is sent as soon as its gradients are
there, last layers first, while those of earlier layers are still being found, but not before the one ahead of it has arrived: Horovod would
put the two together.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..config import Train

MIB = 1 << 20


def messages(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Places of variables, the last first, in runs of at most `most` bytes together; one larger than that travels alone.

    >>> messages([10, 20, 30, 5], 35)
    [[3, 2], [1, 0]]
    """
    runs: list[list[int]] = []
    room = -1
    for place in range(len(sizes) - 1, -1, -1):
        if sizes[place] > room:
            runs.append([])
            room = most
        runs[-1].append(place)
        room -= sizes[place]
    return runs


def reduced(hvd: Any, train: Train, grads: list[Any], said: Any) -> tuple[list[Any], Any]:
    """Gradients and `said` (float32 (k,)) as all ranks hold them afterwards; inside a tf.function, collective over Horovod's ranks.

    `said` is always the exact mean. It travels with the last message of gradients where these are averaged as they are.
    """
    if hvd.size() == 1:
        return grads, said
    if train.reduce == "adasum":
        return [hvd.allreduce(g, op=hvd.Adasum, name=f"gradient.{i}") for i, g in enumerate(grads)], _average(hvd, said, "said")
    return _averaged(hvd, grads, said, train.fusion_mb * MIB, half=train.compression == "fp16")


def _averaged(hvd: Any, grads: list[Any], said: Any, most: int, half: bool) -> tuple[list[Any], Any]:
    import tensorflow as tf

    sizes = [g.shape.num_elements() for g in grads]
    out: list[Any] = list(grads)
    runs = messages([4 * n for n in sizes], most)
    sent: list[Any] = []
    for number, run in enumerate(runs):
        along = [said] if number == len(runs) - 1 and not half else []
        flat = tf.concat([*(tf.reshape(grads[i], [-1]) for i in run), *along], 0)
        with tf.control_dependencies(sent):
            flat = _average(hvd, tf.cast(flat, tf.float16) if half else flat, f"gradients.{number}")
        sent = [flat]
        parts = tf.split(tf.cast(flat, tf.float32), [*(sizes[i] for i in run), *(s.shape[0] for s in along)])
        for i, part in zip(run, parts, strict=False):
            out[i] = tf.reshape(part, grads[i].shape)
        if along:
            return out, parts[-1]
    return out, _average(hvd, said, "said")


def _average(hvd: Any, tensor: Any, name: str) -> Any:
    return hvd.allreduce(tensor, op=hvd.Average, name=name)
