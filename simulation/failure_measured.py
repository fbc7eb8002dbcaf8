"""Measured series as healthy signals: nothing reaches a limit that lies above all that was ever seen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from forecasting.datasets import load_groups
from forecasting.failures import SignalKind
from forecasting.series_files import Series
from simulation.failure_episodes import Episode
from simulation.streams import generator

#: The limit lies by this share above the highest value of the series.
ABOVE_HIGHEST = 0.1
#: Points before the first look, and those that are looked at; every point counts as a minute, whatever its step.
_HISTORY_POINTS, _WATCHED_POINTS = 512, 2016
_KNOWN_SHARE = 0.8
#: Series of one data set that are taken at most, so that none speaks for all.
_PER_GROUP = 6


class MeasuredDataMissing(Exception):
    """The folder holds no series that could be used; the message says what would do."""


def measured_episodes(folder: Path, seed: int) -> tuple[Episode, ...]:
    """Healthy signals out of the data sets in `folder`, the same for every method. Raises `MeasuredDataMissing`."""
    if not folder.is_dir():
        raise MeasuredDataMissing(f"--data {folder}: no such folder: give the one that holds the data sets")
    episodes: list[Episode] = []
    for group, series in sorted(load_groups(folder).items()):
        usable = [one for one in series if _is_usable(one)]
        chosen = generator(seed, "measured", group).permutation(len(usable))[:_PER_GROUP]
        episodes += _as_healthy(group, (usable[place] for place in sorted(chosen.tolist())))
    if not episodes:
        raise MeasuredDataMissing(
            f"--data {folder}: no series of {_HISTORY_POINTS + 100} or more points, none of them negative"
        )
    return tuple(episodes)


def _is_usable(series: Series) -> bool:
    values = series.values[: _HISTORY_POINTS + _WATCHED_POINTS]
    known = values[np.isfinite(values)]
    return (
        values.size >= _HISTORY_POINTS + 100
        and known.size >= _KNOWN_SHARE * values.size
        and float(known.min()) >= 0.0
        and float(known.max()) > float(known.min())
    )


def _as_healthy(group: str, series: Iterable[Series]) -> Iterable[Episode]:
    for one in series:
        values = one.values[: _HISTORY_POINTS + _WATCHED_POINTS]
        limit = (1.0 + ABOVE_HIGHEST) * float(np.nanmax(values))
        name = f"{group}/{one.name}"
        yield Episode(name, name, SignalKind.LATENCY, "measured", group, values, limit, _HISTORY_POINTS)
