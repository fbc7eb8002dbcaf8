"""Random streams keyed by seed, purpose and entity, so that all arms of a pair share them."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, entity: str = "") -> np.random.Generator:
    """Randomness of one thing; nothing that another thing draws can shift it."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), zlib.crc32(entity.encode())])


def phase_s(seed: int, purpose: str, entity: str, period_s: float) -> float:
    """Where in its period a periodic activity runs, [0, period_s), in whole milliseconds."""
    return round(float(stream(seed, purpose, entity).uniform(0.0, period_s)), 3) % period_s
