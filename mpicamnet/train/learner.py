"""A network with its optimizer, and what keeps it the same on all ranks."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import Train
from ..errors import UserError
from ..ranks import Comm, gather_rows
from .dgc import Residuals, dealt
from .head import backbone_of
from .optimizer import optimizer_of


@dataclass(frozen=True)
class Learner:
    """`hvd`: Horovod at work on the ranks of `comm`. `residuals`: what this rank has not sent, with dgc."""

    model: Any
    optimizer: Any
    hvd: Any
    comm: Comm
    train: Train = field(default_factory=Train)
    residuals: Residuals | None = None

    def freeze(self, frozen: bool) -> None:
        """Let only the head learn, or all; a frozen BatchNormalization works with the statistics that it has."""
        for layer in backbone_of(self.model):
            layer.trainable = not frozen


def learner_of(train: Train, model: Any, keras: Any, hvd: Any, comm: Comm) -> Learner:
    """The learner that the config asks for, of a Keras model built in `train.precision`; raises UserError where it cannot be."""
    if train.reduce == "adasum" and comm.size & (comm.size - 1):
        raise UserError(f"`train.reduce` is adasum, which needs a power of two of ranks, and {comm.size} train", "",
                        f"set `train.ranks` to {1 << (comm.size.bit_length() - 1)}, or `train.reduce` to average")
    optimizer = optimizer_of(train, keras)
    optimizer.build(model.trainable_variables)  # of all variables, also where some are frozen at first: their slots wait at zero
    residuals = Residuals(model.trainable_variables, train.momentum) if train.compression == "dgc" else None
    return Learner(model, optimizer, hvd, comm, train, residuals)


def arrays_of(variables: list[Any]) -> list[npt.NDArray[Any]]:
    return [np.array(v.numpy()) for v in variables]


def assign(variables: list[Any], arrays: list[npt.NDArray[Any]]) -> None:
    for v, a in zip(variables, arrays, strict=True):
        v.assign(a)


def tell_all(learner: Learner) -> None:
    """Give all ranks the variables of rank 0; collective. By MPI: Horovod does not know all types, such as a seed's uint32."""
    for variable in learner.model.variables + learner.optimizer.variables:
        value = np.array(variable.numpy())
        learner.comm.Bcast(value.reshape(-1).view(np.uint8), root=0)
        variable.assign(value)


def held_by_all(learner: Learner) -> list[npt.NDArray[Any]]:
    """On rank 0 what each rank has not sent, in rank order (empty without dgc); on other ranks nothing. Collective."""
    if learner.residuals is None:
        return []
    every = gather_rows(learner.comm, learner.residuals.held()[None])
    return list(every) if every is not None else []


def hold(learner: Learner, held: list[npt.NDArray[Any]]) -> None:
    """Deal out `held`, which rank 0 has from a checkpoint, to the ranks that are there; collective."""
    if learner.residuals is None:
        return
    comm = learner.comm
    mine = np.zeros_like(learner.residuals.held())
    shares = dealt(held, comm.size) if held else [mine] * comm.size
    if comm.rank == 0:
        for rank in range(1, comm.size):
            comm.Send(np.ascontiguousarray(shares[rank]), dest=rank)
        mine = shares[0]
    else:
        comm.Recv(mine, source=0)
    learner.residuals.hold(mine)
