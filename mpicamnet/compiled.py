"""How the kernels that see slides and patches are compiled, by Numba: without the interpreter's lock, and kept for the next process.

Numba looks for a BLAS as soon as it loads a kernel, and finds it by importing scipy.linalg: 0.2 s for each rank at each start. No kernel here
multiplies matrices (eigenvalues are LAPACK's, which is looked for where it is wanted), so Numba is told that there is none.
"""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

BLAS = "scipy.linalg.cython_blas"
F = TypeVar("F", bound=Callable[..., Any])

if BLAS not in sys.modules:
    sys.modules[BLAS] = None  # type: ignore[assignment]  # an import of it now fails, and reads no file
    import numba.np.arraymath  # noqa: F401  # where Numba looks
    del sys.modules[BLAS]


def compiled(function: F) -> F:
    """`function`, compiled where it is first called, or loaded from where that was kept."""
    return cast(F, numba.njit(nogil=True, cache=True)(function))


def inlined(function: F) -> F:
    """`function`, written into each compiled one that calls it: for arithmetic so long that LLVM leaves a call, and no vectors, in its caller's loops."""
    return cast(F, numba.njit(nogil=True, inline="always")(function))
