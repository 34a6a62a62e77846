"""How the kernels that see slides and patches are compiled, by Numba: without the interpreter's lock, and kept for the next process.

Numba looks for a BLAS and for CFFI as soon as it loads a kernel, and finds them by importing scipy.linalg and a parser of C: 0.25 s for each rank at
each start. No kernel here multiplies matrices (eigenvalues are LAPACK's, which is looked for where it is wanted) or calls C, so Numba is told that
there are none.
"""
from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

UNUSED = {"scipy.linalg.cython_blas": "numba.np.arraymath", "cffi": "numba.core.typing.cffi_utils"}  # and where Numba looks for it
F = TypeVar("F", bound=Callable[..., Any])

for library, seeker in UNUSED.items():
    if library not in sys.modules:
        sys.modules[library] = None  # type: ignore[assignment]  # an import of it now fails, and reads no file
        importlib.import_module(seeker)
        del sys.modules[library]


def compiled(function: F) -> F:
    """`function`, compiled where it is first called, or loaded from where that was kept."""
    return cast(F, numba.njit(nogil=True, cache=True)(function))


def inlined(function: F) -> F:
    """`function`, written into each compiled one that calls it: for arithmetic so long that LLVM leaves a call, and no vectors, in its caller's loops."""
    return cast(F, numba.njit(nogil=True, inline="always")(function))
