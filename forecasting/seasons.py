"""The length of the season in each row, found by its autocorrelation."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import Floats
from forecasting.history import Bools, Ints

#: Shorter cycles are scrape and sampling artefacts.
SHORTEST_STEPS = 4
#: Autocorrelation a season must reach. White noise over 64 points stays below this at all lags with probability > 0.99.
SIGNIFICANT = 0.4
#: How far autocorrelation must have fallen before it rises to the season's peak; a slow decay has no dip.
DIP = 0.25
#: Lags whose peak is this close to the highest one count as equal; the shortest of them wins, so 2× and 3× lose.
EQUAL_SHARE = 0.88


def season_steps(values: Floats, known: Bools) -> Ints:
    """Steps after which each row repeats itself, 0 where nothing significant repeats, `(rows,)`.

    At least two whole seasons must lie in the history. A straight line is taken out first.
    """
    points = values.shape[1]
    longest = points // 2
    if values.shape[0] == 0 or longest <= SHORTEST_STEPS + 1:
        return np.zeros(values.shape[0], dtype=np.intp)
    correlation = _autocorrelation(_detrended(values, known), known, longest + 1)
    peaks = np.zeros_like(correlation, dtype=bool)
    peaks[:, 1:-1] = (correlation[:, 1:-1] >= correlation[:, :-2]) & (correlation[:, 1:-1] > correlation[:, 2:])
    lowest_before = np.minimum.accumulate(correlation, axis=1)
    peaks &= (correlation >= SIGNIFICANT) & (correlation - lowest_before >= DIP)
    peaks[:, :SHORTEST_STEPS] = False
    span = points - np.argmax(known, axis=1)
    peaks &= np.arange(longest + 1) * 2 <= span[:, None]
    best = np.max(np.where(peaks, correlation, 0.0), axis=1)
    chosen = peaks & (correlation >= EQUAL_SHARE * best[:, None])
    return np.where(best > 0.0, np.argmax(chosen, axis=1), 0)


def _detrended(values: Floats, known: Bools) -> Floats:
    """Known points around their least-squares line, in units of their deviation; zero where unknown or constant."""
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    time = np.arange(values.shape[1], dtype=np.float64)
    centred_time = np.where(known, time - np.where(known, time, 0.0).sum(axis=1, keepdims=True) / count, 0.0)
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
    centred = np.where(known, values - mean, 0.0)
    spread = np.maximum((centred_time**2).sum(axis=1, keepdims=True), 1.0)
    rest = centred - centred_time * ((centred * centred_time).sum(axis=1, keepdims=True) / spread)
    deviation = np.sqrt((rest**2).sum(axis=1, keepdims=True) / count)
    rounding = 1e-9 * np.max(np.abs(values), axis=1, keepdims=True)
    return np.where(deviation > rounding, rest / np.maximum(deviation, 1e-300), 0.0)


def _autocorrelation(rest: Floats, known: Bools, lags: int) -> Floats:
    """Autocorrelation at lags 0 … lags-1 over the pairs of which both points are known, `(rows, lags)`."""
    points = rest.shape[1]
    size = 1 << int(2 * points - 1).bit_length()
    spectrum = np.fft.rfft(rest, size, axis=1)
    products = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :lags]
    if known.all():
        pairs = np.broadcast_to((points - np.arange(lags)).astype(np.float64), products.shape)
    else:
        mask = np.fft.rfft(known.astype(np.float64), size, axis=1)
        pairs = np.fft.irfft(np.abs(mask) ** 2, size, axis=1)[:, :lags]
    # Half of the history must support a lag; products of a few pairs are not evidence.
    supported = pairs >= 0.25 * known.sum(axis=1, keepdims=True)
    return np.where(supported, products / np.maximum(pairs, 1.0), 0.0)
