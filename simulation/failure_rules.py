"""Rules that people use today: a threshold, a line, a line since the last change of trend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats
from simulation.failure_episodes import Panel
from simulation.failure_lines import line_since_change, trailing_line
from simulation.failure_methods import SHARES_OF_LIMIT, Scored, Scores, Thresholds

_BLOCK = 32  # series


@dataclass(frozen=True, slots=True)
class ByLine:
    """Prometheus' `predict_linear(signal[range], ahead) / limit`, at will only above a share of the limit."""

    name: str = "predict-linear"
    ranges: tuple[int, ...] = (15, 30, 60, 120)
    aheads: tuple[int, ...] = (30, 60)
    least_shares: tuple[float, ...] = (0.0, 0.6)

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(
            f"{back} min back, {ahead} min ahead{_above(least)}"
            for back in self.ranges
            for ahead in self.aheads
            for least in self.least_shares
        )

    @property
    def thresholds(self) -> Thresholds:
        return SHARES_OF_LIMIT

    @property
    def chances(self) -> Mapping[int, int]:
        return {}

    def scores(self, panel: Panel, every: int) -> Scored:
        return _in_blocks(panel, every, self._scores)

    def _scores(self, relative: Floats, first: int) -> Scores:
        now, rows = relative[:, first:], []
        for back in self.ranges:
            line = trailing_line(relative, back)
            for ahead in self.aheads:
                reached = (line.level + ahead * line.slope)[:, first:]
                rows += [np.where(now >= least, reached, 0.0).astype(np.float32) for least in self.least_shares]
        return np.stack(rows)


@dataclass(frozen=True, slots=True)
class ByChangePoint:
    """A line through what came since the last change of trend, carried on to the limit where it fits well.

    The idea of Precog (arXiv 2101.09799): find the change points of memory use, regress on the last segment, and
    believe the regression only where it explains the segment.
    """

    name: str = "change-point"
    aheads: tuple[int, ...] = (30, 60)
    least_r2: tuple[float, ...] = (0.5, 0.8)
    least_shares: tuple[float, ...] = (0.0, 0.6)

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(
            f"{ahead} min ahead, R² from {r2:g} on{_above(least)}"
            for ahead in self.aheads
            for r2 in self.least_r2
            for least in self.least_shares
        )

    @property
    def thresholds(self) -> Thresholds:
        return SHARES_OF_LIMIT

    @property
    def chances(self) -> Mapping[int, int]:
        return {}

    def scores(self, panel: Panel, every: int) -> Scored:
        return _in_blocks(panel, every, self._scores)

    def _scores(self, relative: Floats, first: int) -> Scores:
        level, slope, r2 = (part[:, first:] for part in line_since_change(relative))
        now = relative[:, first:]
        rows = [
            np.where((r2 >= fits) & (now >= least), level + ahead * slope, 0.0).astype(np.float32)
            for ahead in self.aheads
            for fits in self.least_r2
            for least in self.least_shares
        ]
        return np.stack(rows)


@dataclass(frozen=True, slots=True)
class ByLevel:
    """The newest value as a share of the limit: the alert that everybody has."""

    name: str = "static-threshold"

    @property
    def variants(self) -> tuple[str, ...]:
        return ("value / limit",)

    @property
    def thresholds(self) -> Thresholds:
        return SHARES_OF_LIMIT

    @property
    def chances(self) -> Mapping[int, int]:
        return {}

    def scores(self, panel: Panel, every: int) -> Scored:
        return _in_blocks(panel, every, lambda relative, first: relative[:, first:].astype(np.float32)[None])


def _above(least_share: float) -> str:
    return f", above {least_share:.0%} of the limit" if least_share else ""


def _in_blocks(panel: Panel, every: int, score: Callable[[Floats, int], Scores]) -> Scored:
    """A few series at a time: a week of running sums of all of them would fill the memory."""
    blocks = [
        _looked_at(score(panel.values[rows] / panel.limits[rows, None], panel.watched_from), every)
        for rows in (slice(start, start + _BLOCK) for start in range(0, len(panel.episodes), _BLOCK))
    ]
    return Scored(np.concatenate(blocks, axis=1))


def _looked_at(scores: Scores, every: int) -> Scores:
    """The scores at the looks that forecasters have too: the regular ones, and every minute after a suspicious one."""
    regular = np.arange(scores.shape[2]) // every * every
    suspicious = scores[:, :, regular] >= SHARES_OF_LIMIT.acts[0]
    skipped = ~suspicious & (np.arange(scores.shape[2]) != regular)
    scores[skipped] = np.nan
    return scores
