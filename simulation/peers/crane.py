"""Crane's periodic forecast (its DSP predictor) as one more external metric of the HPA.

Algorithm from gocrane/crane, pkg/prediction/dsp: a signal is accepted only when it has a period that it was asked to
look for, found in the spectrum and confirmed as a peak of the autocorrelation; the last period, smoothed in the
frequency domain and raised by a margin, is the forecast of the next one; of several smoothings and margins the one
that would have predicted the last period best is taken. The HPA sees the largest value of the look-ahead. Without a
period, or with a forecast that has run out, the metric fails and the HPA lives on its others.

Two things differ: the noise floor of the spectrum is the limit of upstream's hundred random permutations, so that no
randomness is needed, and the hour below which upstream calls components noise is a share of the period, because the
simulated day may be short.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import log

import numpy as np
from numpy.typing import NDArray

from simulation.hpa.values import AverageValue, ExternalMetric, Reading, SeriesReadings
from simulation.peers.line import fitted_line

Floats = NDArray[np.float64]

_SMALLEST = 0.01  # upstream's floor of an estimate


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Which components of the spectrum are kept: at least so many, and those above the amplitude (in rps)."""

    min_components: int
    low_amplitude: float


@dataclass(frozen=True, slots=True)
class CraneSettings:
    target_rps_per_pod: float
    seasons_s: tuple[float, ...] = (86_400.0, 604_800.0)  # periods that are looked for, in this order
    look_ahead_s: float = 3600.0
    refit_s: float = 43_200.0
    gap_s: float = 3600.0  # history before a longer gap is dropped
    margins: tuple[float, ...] = (0.01, 0.10, 0.15, 0.20)
    smoothings: tuple[Smoothing, ...] = (Smoothing(3, 1.0), Smoothing(50, 0.05))
    max_components: int = 100
    slow_share: float = 1.0 / 24.0  # components slower than this share of the season are always kept
    peak_share: float = 1.0 / 6.0  # of the season, on either side, must rise to and fall from a peak (4 h of a day)


@dataclass(frozen=True, slots=True, eq=False)
class CraneState:
    """`forecast_rps` `(steps,)` begins at `from_s`; None: the last history had no period."""

    forecast_rps: Floats | None = None
    from_s: float = 0.0
    step_s: float = 1.0
    fitted_at_s: float | None = None


def metric(settings: CraneSettings) -> ExternalMetric:
    """The metric that Crane adds to the HPA."""
    return ExternalMetric("periodic-demand", AverageValue(round(settings.target_rps_per_pod * 1000.0)))


def propose(
    settings: CraneSettings, state: CraneState, rates_rps: Floats, step_s: float, last_at_s: float, now_s: float
) -> tuple[Reading, CraneState]:
    """What the external metric reads now: the largest forecast of the look-ahead, or None for an error.

    `rates_rps` is `(samples,)`, oldest first, the last one measured at `last_at_s`, NaN where unknown.
    """
    if state.fitted_at_s is None or now_s >= state.fitted_at_s + settings.refit_s:
        forecast_rps = forecast_cycle(settings, rates_rps, step_s)
        state = CraneState(forecast_rps, last_at_s - _unknown_tail(rates_rps) * step_s + step_s, step_s, now_s)
    if state.forecast_rps is None:
        return None, state
    times_s = state.from_s + state.step_s * np.arange(len(state.forecast_rps))
    ahead = state.forecast_rps[(times_s >= now_s - state.step_s) & (times_s <= now_s + settings.look_ahead_s)]
    if not len(ahead):
        return None, state
    return SeriesReadings((round(float(ahead.max()) * 1000.0),)), state


def forecast_cycle(settings: CraneSettings, rates_rps: Floats, step_s: float) -> Floats | None:
    """The next period, `(steps of the season,)`; None where the history has none of the periods looked for."""
    history = _without_gaps(rates_rps, max(1, round(settings.gap_s / step_s)))
    for season_s in settings.seasons_s:
        steps = round(season_s / step_s)
        if steps >= 4 and is_periodic(settings, history, steps):
            cycles = history[-(len(history) // steps) * steps :]
            return _best_estimate(settings, cycles, steps)
    return None


def is_periodic(settings: CraneSettings, history: Floats, steps: int) -> bool:
    """Whether a period of `steps` stands out of the spectrum and is a peak of the autocorrelation."""
    cycles = len(history) // steps
    if cycles < 2:
        return False
    signal = history[-cycles * steps :]
    signal = signal - signal.mean()
    variance = float(signal @ signal) / len(signal)
    if variance <= 0.0:
        return False
    power = np.abs(np.fft.rfft(signal)) ** 2
    harmonics = power[cycles : cycles * (steps // 2) : cycles]
    if harmonics.max() <= _noise_floor(variance, len(signal)):
        return False
    correlation = np.fft.irfft(power, len(signal)) / (variance * len(signal))
    return _is_peak(correlation, steps, max(2, round(settings.peak_share * steps)))


def _noise_floor(variance: float, samples: int) -> float:
    """Power that the largest component of the same values in random order exceeds once in a hundred orders.

    Each of the samples / 2 components of noise has exponential power with mean variance · samples.
    """
    components = max(1, samples // 2 - 1)
    return -variance * samples * log(1.0 - 0.99 ** (1.0 / components))


def _is_peak(correlation: Floats, at: int, reach: int) -> bool:
    """Whether the correlation is positive, rises towards `at` and falls behind it."""
    low, high = max(0, at - reach), min(len(correlation) - 1, at + reach)
    before = fitted_line(np.arange(low, at + 1, dtype=np.float64), correlation[low : at + 1])
    behind = fitted_line(np.arange(at, high + 1, dtype=np.float64), correlation[at : high + 1])
    if before is None or behind is None:
        return False
    return bool(correlation[at] > 0.0 and before.slope > 0.0 > behind.slope)


def _best_estimate(settings: CraneSettings, cycles: Floats, steps: int) -> Floats:
    """The next cycle by the smoothing and margin that would have predicted the last cycle best."""
    past, actual = cycles[:-steps], cycles[-steps:]
    candidates = list(product(settings.smoothings, settings.margins))
    errors = [_error(actual, _estimate(settings, past, steps, smoothing, margin)) for smoothing, margin in candidates]
    smoothing, margin = candidates[int(np.argmin(errors))]
    return _estimate(settings, cycles, steps, smoothing, margin)


def _estimate(settings: CraneSettings, cycles: Floats, steps: int, smoothing: Smoothing, margin: float) -> Floats:
    """The last cycle without its fast and weak components, raised by the margin."""
    spectrum = np.fft.rfft(cycles)
    amplitudes = np.abs(spectrum) / len(cycles)
    descending = np.sort(amplitudes[1:])[::-1]
    weakest = max(float(descending[min(settings.max_components, len(descending)) - 1]), smoothing.low_amplitude)
    if len(descending) >= smoothing.min_components:
        weakest = min(weakest, float(descending[smoothing.min_components - 1]))
    cycles_each = np.arange(len(spectrum)) * steps / len(cycles)  # oscillations per season
    spectrum[(amplitudes < weakest) & (cycles_each > 1.0 / settings.slow_share)] = 0.0
    smooth = np.fft.irfft(spectrum, len(cycles))[-steps:]
    return np.asarray(np.where(smooth <= 0.0, _SMALLEST, smooth) * (1.0 + margin), dtype=np.float64)


def _error(actual: Floats, predicted: Floats) -> float:
    """Mean relative error, falling short counted more: -ln(1 - x) / ln 1.25, so 10 % short weighs like 47 % over.

    Where demand touches zero there is no relative error; then the mean absolute one.
    """
    if actual.min() < 1e-3:
        return float(np.abs(actual - predicted).mean())
    relative = (predicted - actual) / actual
    short = -np.log1p(np.minimum(relative, 0.0)) / log(1.25)
    return float((short + np.maximum(relative, 0.0)).mean())


def _unknown_tail(rates_rps: Floats) -> int:
    """Samples after the last known one."""
    known = np.flatnonzero(np.isfinite(rates_rps))
    return len(rates_rps) - 1 - int(known[-1]) if len(known) else 0


def _without_gaps(rates_rps: Floats, longest: int) -> Floats:
    """The history since its last long gap, short gaps bridged by straight lines, its unknown ends cut off."""
    known = np.flatnonzero(np.isfinite(rates_rps))
    if not len(known):
        return np.empty(0, dtype=np.float64)
    long_gaps = np.flatnonzero(np.diff(known) > longest)
    if len(long_gaps):
        known = known[long_gaps[-1] + 1 :]
    return np.interp(np.arange(known[0], known[-1] + 1), known, rates_rps[known])
