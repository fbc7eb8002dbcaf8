"""How the kernel's functions are compiled, and when a compiled copy on disk is still theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def inner(function: F) -> F:
    """Compiles a function that only compiled functions call.

    Without numba's reference counts: nothing in the kernel allocates, and counting would cost more than the work.
    With numpy's error model: a division by zero gives inf, not a branch.
    """
    compiled: F = njit(error_model="numpy", _nrt=False)(function)  # type: ignore[call-overload]
    return compiled


def entry(function: F) -> F:
    """Compiles a function that Python calls. It holds no lock while it runs.

    The result is kept on disk; where there is no place to write to, every process compiles anew.
    """
    options: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "nogil": True}
    compiled: F
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no directory for its cache
        compiled = njit(**options)(function)
    return compiled


def sources_digest() -> str:
    """A hash of every source file of the kernel.

    numba's cache on disk watches only the file of the cached function itself; this digest, closed over by the
    entry point, makes a change in any of the others a new entry (closure values are part of numba's cache key).
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()
