"""Latency histograms: 64 buckets, four to each doubling, from half a millisecond to 32 seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulation.kernel.compiled import inner

BUCKETS = 64
_LOWEST_EXPONENT = -11  # 2^-11 s = 0.49 ms


def edges_s() -> NDArray[np.float64]:
    """(65,) bucket i holds latencies in [edges[i], edges[i + 1]); the first starts at 0, the last never ends."""
    octave, quarter = np.divmod(np.arange(BUCKETS + 1), 4)
    edges = np.exp2(octave + _LOWEST_EXPONENT) * (1.0 + quarter / 4.0)
    edges[0], edges[-1] = 0.0, np.inf
    return edges


@inner
def bucket(latency_s: float) -> int:
    """The bucket of a latency, read from the number's exponent and its two highest mantissa bits."""
    index = (np.float64(latency_s).view(np.int64) >> 50) - (1023 + _LOWEST_EXPONENT) * 4
    return min(max(int(index), 0), BUCKETS - 1)


def quantile_s(counts: NDArray[np.integer], q: float) -> float | None:
    """The latency below which a share `q` of the counted ones lie; None when nothing was counted.

    Linear within a bucket, so wrong by at most its width (14 to 25 %). The last bucket answers its lower edge.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    reached = np.cumsum(counts)
    i = min(int(np.searchsorted(reached, q * total)), BUCKETS - 1)
    edges = edges_s()
    if i == BUCKETS - 1:
        return float(edges[i])
    before = float(reached[i] - counts[i])
    share = (q * total - before) / float(counts[i]) if counts[i] else 0.0
    return float(edges[i] + share * (edges[i + 1] - edges[i]))
