"""Random numbers as a function of what they are for, never of what was drawn before.

Every visit has a 64-bit key: the client request's number and the path of calls and attempts that led to it. Two runs
with the same arrivals draw the same demands, whatever else differs between them. Mixing is splitmix64's finaliser
(Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from simulation.kernel.compiled import inner

# What a draw is for. numpy's integers: numba would compile a version for each value of Python's.
WORK, WAIT, ERROR, ENDPOINT, SECOND_ENDPOINT, NORMAL, MADE, DIMMED = cast(tuple[int, ...], tuple(np.arange(1, 9)))
PURPOSES = 16  # room for one call's purposes between those of the call before and after

CONSTANT, EXPONENTIAL, LOGNORMAL = range(3)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_TO_UNIT = 1.0 / (1 << 53)


@inner
def mixed(key: np.uint64, salt: int) -> np.uint64:
    """A key that looks unrelated to `key` and to the same key with another salt."""
    z = key + _GOLDEN * np.uint64(salt + 1)
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@inner
def request_key(seed: np.uint64, request_id: int) -> np.uint64:
    return mixed(mixed(seed, request_id), 0)


@inner
def attempt_key(caller: np.uint64, edge: int, attempt: int) -> np.uint64:
    """The key of the visit that the caller's attempt on this call makes."""
    return mixed(caller, ((edge + 1) << 32) + attempt)


@inner
def uniform(key: np.uint64, purpose: int) -> float:
    """In (0, 1), never an end: its logarithm is finite."""
    return (np.float64(mixed(key, purpose) >> _S11) + 0.5) * _TO_UNIT


@inner
def exponential(key: np.uint64, purpose: int) -> float:
    return -math.log(uniform(key, purpose))


@inner
def work_multiple(key: np.uint64, distribution: int, sigma: float) -> float:
    """A visit's CPU work as a multiple of its operation's mean; `sigma` is the lognormal's, on the log scale."""
    if distribution == CONSTANT:
        return 1.0
    if distribution == EXPONENTIAL:
        return exponential(key, WORK)
    normal = math.sqrt(2.0 * exponential(key, WORK)) * math.cos(2.0 * math.pi * uniform(key, NORMAL))
    return math.exp(sigma * normal - 0.5 * sigma * sigma)
