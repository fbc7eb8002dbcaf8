"""Where training windows come from: the synthetic generator, real series, and series files of the simulated shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from forecasting import workloads
from forecasting.forecast import Floats
from forecasting.series_files import Series
from forecasting.training.windows import SeriesBatch, TrainingBatch, joined, training_batch

#: Points of a series that is cut into windows: a week of minutes, a horizon, and some room to choose an origin.
SERIES_POINTS = 10_752
#: Steps of training in which a synthetic series is cut into windows, each time at another place.
REUSED = 16
#: Windows that are cut from one real series at a time.
WINDOWS_PER_SERIES = 4
#: Share of real windows that are a blend of two series of the same step, and how much of the second goes in at most.
BLENDED, MOST_BLENDED = 0.35, 0.5


class Source(Protocol):
    """Gives the windows of one training step; randomness is the caller's."""

    def batch(self, windows: int, step: int, rng: np.random.Generator) -> TrainingBatch: ...


class SyntheticSource:
    """Series of `forecasting.workloads`, a few new ones at every step, each of them in use for `REUSED` steps.

    What a step sees depends on `seed` and the step alone, so that a resumed run goes on as it would have.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made: dict[int, workloads.Workloads] = {}

    def batch(self, windows: int, step: int, rng: np.random.Generator) -> TrainingBatch:
        count = max(1, windows // REUSED)
        wanted = range(step, step + REUSED)
        self._made = {block: self._made.get(block) or self._block(block, count) for block in wanted}
        blocks = self._made.values()
        series = SeriesBatch(
            np.concatenate([block.values.numpy() for block in blocks]),
            np.concatenate([block.step_s.numpy() for block in blocks]).astype(np.float64),
            np.concatenate([block.start_at_s.numpy() for block in blocks]).astype(np.float64),
            np.concatenate([block.event_log.numpy() for block in blocks]),
        )
        return training_batch(series, windows, rng)

    def _block(self, block: int, count: int) -> workloads.Workloads:
        seed = int(np.random.default_rng((self._seed, block)).integers(2**62))
        return workloads.generate(count, SERIES_POINTS, torch.Generator().manual_seed(seed))


class SeriesSource:
    """Windows of given series, every group equally often, series within a group by the root of their length."""

    def __init__(self, groups: Mapping[str, Sequence[Series]]) -> None:
        self._groups = [tuple(series) for series in groups.values() if series]
        self._shares = [_shares(group) for group in self._groups]
        if not self._groups:
            raise ValueError("no series to train on: give at least one group that is not empty")

    def batch(self, windows: int, step: int, rng: np.random.Generator) -> TrainingBatch:
        count = max(1, windows // WINDOWS_PER_SERIES)
        values = np.full((count, SERIES_POINTS), np.nan)
        step_s, start_at_s = np.empty(count), np.full(count, np.nan)
        shortest = np.zeros(count, dtype=np.intp)
        for row in range(count):
            group = int(rng.integers(len(self._groups)))
            series = self._drawn(group, rng)
            cut, first = _cut(series, rng)
            if rng.random() < BLENDED:
                cut = self._blended(cut, self._drawn(group, rng), series.step_s, rng)
            values[row, SERIES_POINTS - cut.size :] = cut
            shortest[row] = cut.size
            step_s[row] = series.step_s
            if series.start_at_s is not None:
                start_at_s[row] = series.start_at_s + (first - (SERIES_POINTS - cut.size)) * series.step_s
        # Origins are drawn over the whole width; keep them where the shorter series have points.
        order = np.argsort(shortest)
        batches = []
        for part in np.array_split(order, max(1, count // 8)):
            width = int(shortest[part].max())
            events = np.zeros((part.size, width))
            shifted = start_at_s[part] + (SERIES_POINTS - width) * step_s[part]
            batch = SeriesBatch(values[part, SERIES_POINTS - width :], step_s[part], shifted, events)
            batches.append(training_batch(batch, part.size * WINDOWS_PER_SERIES, rng))
        return joined(batches)

    def _drawn(self, group: int, rng: np.random.Generator) -> Series:
        return self._groups[group][int(rng.choice(len(self._groups[group]), p=self._shares[group]))]

    def _blended(self, cut: Floats, other: Series, step_s: float, rng: np.random.Generator) -> Floats:
        """With some of another series of the group added, brought to the same level: more shapes than were recorded."""
        if other.step_s != step_s:
            return cut
        second, _ = _cut(other, rng)
        if second.size < cut.size:
            return cut
        second = second[: cut.size]
        own, foreign = np.nanmean(np.abs(cut)), np.nanmean(np.abs(second))
        if not (own > 0.0 and foreign > 0.0):
            return cut
        share = rng.uniform(0.0, MOST_BLENDED)
        return (1.0 - share) * cut + share * second * (own / foreign)


@dataclass(frozen=True, slots=True)
class MixedSource:
    """Several sources, each with its share of every batch."""

    sources: tuple[tuple[Source, float], ...]

    def batch(self, windows: int, step: int, rng: np.random.Generator) -> TrainingBatch:
        total = sum(share for _, share in self.sources)
        return joined(
            [source.batch(max(REUSED, round(windows * share / total)), step, rng) for source, share in self.sources]
        )


def usable(series: Sequence[Series]) -> tuple[Series, ...]:
    """Those with enough known points that a window fits."""
    return tuple(one for one in series if one.values.size >= 192 and np.isfinite(one.values).sum() >= 128)


def _shares(group: Sequence[Series]) -> Floats:
    roots = np.sqrt([float(np.isfinite(series.values).sum()) for series in group])
    return np.asarray(roots / roots.sum())


def _cut(series: Series, rng: np.random.Generator) -> tuple[Floats, int]:
    """At most `SERIES_POINTS` consecutive points with one that is known, and the index of the first."""
    spare = series.values.size - SERIES_POINTS
    first = int(rng.integers(spare + 1)) if spare > 0 else 0
    cut = series.values[first : first + SERIES_POINTS]
    return (cut, first) if np.isfinite(cut).any() else (series.values[:SERIES_POINTS], 0)
