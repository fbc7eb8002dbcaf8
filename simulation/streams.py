"""Randomness keyed by seed, purpose and entity.

A draw depends on what it is for, never on what was drawn before it, so runs of different controllers share every
draw about things that happen in both.
"""

from __future__ import annotations

from hashlib import blake2b
from math import exp
from statistics import NormalDist

import numpy as np

_STANDARD_NORMAL = NormalDist()


def _digest(seed: int, purpose: str, entity: tuple[object, ...]) -> int:
    text = "\x1f".join((str(seed), purpose, *(str(part) for part in entity)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def generator(seed: int, purpose: str, *entity: object) -> np.random.Generator:
    """A generator of its own for one purpose of one entity."""
    return np.random.Generator(np.random.PCG64(_digest(seed, purpose, entity)))


def uniform(seed: int, purpose: str, *entity: object) -> float:
    """One draw from (0, 1)."""
    return (_digest(seed, purpose, entity) + 0.5) / 2.0**64


def between(low: float, high: float, seed: int, purpose: str, *entity: object) -> float:
    """One draw from (low, high)."""
    return low + (high - low) * uniform(seed, purpose, *entity)


def lognormal(median: float, sigma: float, seed: int, purpose: str, *entity: object) -> float:
    """One draw with the given median."""
    if sigma == 0 or median == 0:
        return median
    return median * exp(sigma * _STANDARD_NORMAL.inv_cdf(uniform(seed, purpose, *entity)))
