"""Tensors of a PyTorch file (.pth), without PyTorch: the format that torch.save wrote before version 1.6.

Five pickles (a magic number, the version, the machine, the object, the keys of its storages), then each storage: the number of elements as
int64, and the elements. The unpickler knows tensors, their storages and ordered dicts, and refuses to call anything else.
"""
from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4", "ByteStorage": "u1"}


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    elements: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage: offset and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"this file of tensors names {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, elements, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"an unknown kind of storage: {pid}")
        return _Storage(key, dtype, elements)


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Name -> array of a state dict in a .pth file; raises ValueError where the file is none of this format."""
    with path.open("rb") as f:
        try:
            if (_Unpickler(f).load(), _Unpickler(f).load()) != (MAGIC, VERSION) or _Unpickler(f).load().get("little_endian") is not True:
                raise ValueError("not a little-endian file of torch.save before version 1.6")
            tensors = _Unpickler(f).load()
            storages = {t.storage.key: t.storage for t in tensors.values()}
            arrays = {key: _elements(f, storages[key]) for key in _Unpickler(f).load()}
        except (pickle.UnpicklingError, EOFError, AttributeError, KeyError, TypeError, IndexError) as e:
            raise ValueError(f"not a file of tensors: {type(e).__name__}: {e}") from None
    return {name: _view(t, arrays[t.storage.key]) for name, t in tensors.items()}


def _elements(f: BinaryIO, storage: _Storage) -> npt.NDArray[Any]:
    size = np.dtype(storage.dtype).itemsize
    if int.from_bytes(f.read(8), "little") != storage.elements:
        raise ValueError("a storage is not of the size that the file says")
    found = np.frombuffer(f.read(storage.elements * size), storage.dtype)
    if len(found) != storage.elements:
        raise ValueError("the file ends too early")
    return found


def _view(t: _Tensor, elements: npt.NDArray[Any]) -> npt.NDArray[Any]:
    last = t.offset + sum((n - 1) * s for n, s in zip(t.shape, t.strides, strict=True))
    if min((t.offset, *t.strides, *(n - 1 for n in t.shape))) < 0 or last >= len(elements):
        raise ValueError("a tensor reaches beyond its storage")
    size = elements.itemsize
    return np.lib.stride_tricks.as_strided(elements[t.offset:], t.shape, [s * size for s in t.strides]).copy()
