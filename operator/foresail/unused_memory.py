"""Memory that a tick has left behind, given back to the system."""

from __future__ import annotations

import ctypes
import logging
from functools import cache

log = logging.getLogger("foresail.memory")


def give_back() -> None:
    """After forecasts of a thousand workloads the C library keeps a hundred MiB for later; asking takes it 10 ms.

    Does nothing with another C library than GNU's.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        log.debug("memory_not_given_back")
        return None
