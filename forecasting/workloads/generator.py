"""Synthetic operations series: what a forecaster meets in the field, drawn from families with wide parameters.

All of it is tensor code over whole batches: no loop runs over series or points. Equal generator states draw equal
series, on the device of the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forecasting.workloads import chance, events, seasons
from forecasting.workloads.corruptions import corrupted
from forecasting.workloads.grid import Drawn, Grid

#: 2015-01-01 and 2027-01-01, 0:00 UTC.
_FIRST_START_S, _LAST_START_S = 1_420_070_400.0, 1_798_761_600.0
_STEPS_S = (15.0, 60.0, 300.0, 1.0, 600.0, 900.0, 3_600.0)
_STEP_WEIGHTS = (0.35, 0.25, 0.25, 0.05, 0.034, 0.033, 0.033)
_MIXED, _WARPED = 0.12, 0.05


@dataclass(frozen=True, slots=True)
class Family:
    """How often a family is drawn, relative to the others, and how."""

    weight: float
    draw: Callable[[Grid], Drawn]


_FAMILIES: dict[str, Family] = {
    "demand_rate": Family(0.09, seasons.demand_rate),
    "diurnal": Family(0.08, seasons.diurnal),
    "weekly": Family(0.05, seasons.weekly),
    "trend_season": Family(0.05, seasons.trend_season),
    "cron_bursts": Family(0.05, seasons.cron_bursts),
    "latency": Family(0.05, seasons.latency),
    "cpu_percent": Family(0.07, seasons.cpu_percent),
    "saturation": Family(0.02, events.saturation),
    "quantised": Family(0.02, seasons.quantised),
    "counts": Family(0.04, seasons.counts),
    "flash_sale": Family(0.05, events.flash_sale),
    "promo_step": Family(0.03, events.promo_step),
    "viral": Family(0.03, events.viral),
    "ramp": Family(0.02, events.ramp),
    "load_test": Family(0.01, events.load_test),
    "regime": Family(0.04, events.regime),
    "deploy_step": Family(0.03, events.deploy_step),
    "leak": Family(0.05, events.leak),
    "sawtooth": Family(0.03, events.sawtooth),
    "constant": Family(0.015, events.constant),
    "zero_inflated": Family(0.03, chance.zero_inflated),
    "heavy_bursts": Family(0.05, chance.heavy_bursts),
    "error_rate": Family(0.035, chance.error_rate),
    "ar": Family(0.06, chance.autoregressive),
    "random_walk": Family(0.09, chance.random_walk),
    "gaussian_process": Family(0.05, chance.gaussian_process),
}

#: Names of the families; `Workloads.family` holds places in it.
FAMILIES: tuple[str, ...] = tuple(_FAMILIES)


@dataclass(frozen=True, slots=True)
class Workloads:
    """A batch of synthetic series.

    `values` `(series, points)` float32, oldest first, NaN where missing; `step_s` and `start_at_s` `(series,)` float64,
    the latter the unix time of the first point; `event_log` `(series, points)` float32 the log of the multiplier that
    was DECLARED ahead, 0 where none was; `family` `(series,)` int64 the place in `FAMILIES`.
    """

    values: Tensor
    step_s: Tensor
    start_at_s: Tensor
    event_log: Tensor
    family: Tensor


def generate(
    series: int,
    points: int,
    generator: torch.Generator,
    *,
    families: Sequence[str] | None = None,
    plain: bool = False,
) -> Workloads:
    """Draw series of some families (None: all, as often as they matter), on the device of the generator.

    `plain` leaves out mixtures, warps and what monitoring spoils: what each family itself draws. Raises KeyError for
    the name of no family.
    """
    grid = _grid(series, points, generator)
    weights = _weights(families, grid.device)
    family = torch.multinomial(weights, series, replacement=True, generator=generator)
    values, event_log = _drawn(grid, family)
    if not plain:
        values = _mixed(grid, values, event_log, weights)
        values = _warped(grid, values, event_log)
        values = corrupted(grid, values)
    return Workloads(values, grid.step_s, grid.start_at_s, event_log, family)


def _grid(series: int, points: int, generator: torch.Generator) -> Grid:
    """Steps as monitoring has them, starts anywhere in twelve years, most of them on a whole step."""
    device = generator.device
    steps = torch.tensor(_STEPS_S, dtype=torch.float64, device=device)
    likely = torch.tensor(_STEP_WEIGHTS, device=device)
    step_s = steps[torch.multinomial(likely, series, replacement=True, generator=generator)]
    unit = torch.rand(2, series, generator=generator, device=device, dtype=torch.float64)
    start_at_s = _FIRST_START_S + (_LAST_START_S - _FIRST_START_S) * unit[0]
    aligned = (start_at_s / step_s).floor() * step_s
    return Grid(step_s, torch.where(unit[1] < 0.7, aligned, start_at_s.floor()), points, generator)


def _weights(families: Sequence[str] | None, device: torch.device) -> Tensor:
    wanted = FAMILIES if families is None else tuple(families)
    weights = torch.zeros(len(FAMILIES), device=device)
    for name in wanted:
        family = _FAMILIES[name]
        weights[FAMILIES.index(name)] = family.weight
    return weights


def _drawn(grid: Grid, family: Tensor) -> tuple[Tensor, Tensor]:
    """Values and declarations of each series, drawn by its family, both `(series, points)`."""
    values = torch.empty(grid.series, grid.points, device=grid.device)
    event_log = torch.zeros_like(values)
    for place, name in enumerate(FAMILIES):
        rows = (family == place).nonzero().squeeze(1)
        if rows.numel():
            drawn = _FAMILIES[name].draw(grid.rows(rows))
            values[rows] = drawn.values
            if drawn.event_log is not None:
                event_log[rows] = drawn.event_log
    return values, event_log


def _mixed(grid: Grid, values: Tensor, event_log: Tensor, weights: Tensor) -> Tensor:
    """Some series added to, or multiplied by, a second one on the same grid; never those with declared events."""
    rows = (grid.chance(_MIXED).squeeze(1) & ~event_log.any(1)).nonzero().squeeze(1)
    if not rows.numel():
        return values
    part = grid.rows(rows)
    family = torch.multinomial(weights, int(rows.numel()), replacement=True, generator=grid.generator)
    other, _ = _drawn(part, family)
    first = values[rows]
    added = torch.lerp(first / _size(first), other / _size(other), part.uniform(0.1, 0.9)) * _size(first)
    factor = (other / _size(other)).clamp(0.0, 20.0)
    multiplied = first * torch.lerp(torch.ones_like(factor), factor, part.uniform(0.2, 1.0))
    values[rows] = torch.where(part.chance(0.6), added, multiplied)
    return values


def _size(values: Tensor) -> Tensor:
    return values.abs().mean(1, keepdim=True).clamp(min=1e-20)


def _warped(grid: Grid, values: Tensor, event_log: Tensor) -> Tensor:
    """Some series read at an uneven pace, from a part of their length; never those with declared events."""
    rows = (grid.chance(_WARPED).squeeze(1) & ~event_log.any(1)).nonzero().squeeze(1)
    if not rows.numel():
        return values
    part = grid.rows(rows)
    pace = 1.0 + part.uniform(0.0, 0.7) * torch.sin(
        6.2832 * (part.index() / grid.points * part.log_uniform(0.3, 4.0) + part.uniform(0.0, 1.0))
    )
    way = pace.cumsum(1)
    span = part.log_uniform(0.1, 1.0)
    place = (way / way[:, -1:] * span + part.uniform(0.0, 1.0) * (1.0 - span)) * (grid.points - 1)
    below = place.long().clamp(max=grid.points - 2)
    source = values[rows]
    low = source.gather(1, below)
    values[rows] = torch.lerp(low, source.gather(1, below + 1), place - below)
    return values
