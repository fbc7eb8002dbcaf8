"""How the kernel's functions are compiled, and when a compiled copy on disk is still theirs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from numba import njit

# Functions that only other compiled functions call. numpy's error model: a division by zero gives inf, not a branch.
inner = njit(error_model="numpy", _nrt=False)


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
