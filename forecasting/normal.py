"""The standard normal distribution, for arrays of a few thousand numbers: a library for it is 100 MB of an image."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from forecasting.forecast import Floats

_ROOT_TWO = math.sqrt(2.0)
#: The nearest to 0 and 1 that a probability can be.
_LEAST, _MOST = np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0)
_complement = np.frompyfunc(math.erfc, 1, 1)
_inverse = np.frompyfunc(NormalDist().inv_cdf, 1, 1)


def probability_below(scores: Floats) -> Floats:
    """Of a standard normal variable to be below each score."""
    return 0.5 * np.asarray(_complement(scores / -_ROOT_TWO), dtype=np.float64)


def normal_scores(probabilities: Floats) -> Floats:
    """The inverse of `probability_below`; 0 and 1 have the scores of their nearest neighbours."""
    return np.asarray(_inverse(np.clip(probabilities, _LEAST, _MOST)), dtype=np.float64)
