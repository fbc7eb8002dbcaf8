"""What monitoring does to series: gaps, stale scrapes, resets, outliers, rounding, and series that begin late."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from forecasting.workloads.grid import Grid
from forecasting.workloads.shapes import shots, stretches

#: A series keeps at least this share of its points.
KEPT = 0.5


Change = Callable[[Grid, Tensor], Tensor]


def _held(values: Tensor, fresh: Tensor) -> Tensor:
    """Values that keep the last fresh one until the next; points before the first stay as they are."""
    places = torch.arange(values.shape[1], device=values.device).expand_as(values)
    last = torch.where(fresh, places, -1).cummax(1).values
    return values.gather(1, torch.where(last < 0, places, last))


def stale(grid: Grid, values: Tensor) -> Tensor:
    """Old values are read again, at single points or for a long time."""
    now_and_then = grid.unit_noise() > grid.log_uniform(0.01, 0.6)
    cuts = stretches(grid, grid.log_uniform(20.0, grid.points / 4.0), grid.uniform(0.3, 1.0))
    for_long = ~cuts.of_each(grid.chance(0.12, 256))
    return _held(values, torch.where(grid.chance(0.6), now_and_then, for_long))


def spikes(grid: Grid, values: Tensor) -> Tensor:
    """Single readings far off, or zero; a counter that began again shows as such."""
    hit = grid.unit_noise() < grid.log_uniform(2e-4, 0.01)
    usual = values.abs().mean(1, keepdim=True)
    far = values + usual * grid.log_uniform(1.0, 100.0) * torch.rand(
        values.shape, generator=grid.generator, device=grid.device
    )
    return torch.where(hit, torch.where(grid.chance(0.3), torch.zeros_like(values), far), values)


def bursts(grid: Grid, values: Tensor) -> Tensor:
    """Something else shows through, seldom and for a few points: a neighbour, a backup, a slow disk."""
    usual = values.abs().mean(1, keepdim=True)
    above = shots(
        grid, grid.log_uniform(2e-4, 0.03), grid.uniform(1.2, 3.0), grid.uniform(0.2, 1.0), grid.log_uniform(0.2, 8.0)
    )
    return values + usual * grid.log_uniform(0.1, 5.0) * above.clamp(max=200.0)


def rounded(grid: Grid, values: Tensor) -> Tensor:
    """Readings with few digits."""
    grain = values.abs().amax(1, keepdim=True).clamp(min=1e-30) * grid.log_uniform(1e-4, 0.05)
    decimal = torch.pow(10.0, torch.log10(grain).round()).clamp(min=1e-30)
    return (values / decimal).round() * decimal


def unit_change(grid: Grid, values: Tensor) -> Tensor:
    """From some time on in another unit."""
    factor = grid.one_of((1e-3, 1.0 / 60.0, 0.125, 8.0, 60.0, 1e3))
    return torch.where(grid.index() < grid.uniform(0.0, 1.0) * grid.points, values, values * factor)


def dropped(grid: Grid, values: Tensor) -> Tensor:
    """Dips to zero or to a part, as when a target restarts or a share of the targets is not read."""
    cuts = stretches(grid, grid.log_uniform(3.0, 60.0), grid.uniform(0.3, 1.0))
    table = torch.where(grid.chance(0.03, 512), grid.uniform(0.0, 0.7, 512), 1.0)
    return values * cuts.of_each(table)


def single_gaps(grid: Grid) -> Tensor:
    return grid.unit_noise() < grid.log_uniform(1e-3, 0.15)


def gap_runs(grid: Grid) -> Tensor:
    cuts = stretches(grid, grid.log_uniform(3.0, 100.0), grid.uniform(0.5, 1.2))
    return cuts.of_each(grid.uniform(0.0, 1.0, 1024) < grid.log_uniform(0.01, 0.2))


def long_gap(grid: Grid) -> Tensor:
    age = grid.index() - grid.uniform(0.0, 1.0) * grid.points
    return (age >= 0.0) & (age < grid.log_uniform(20.0, 0.35 * grid.points))


def before_birth(grid: Grid) -> Tensor:
    return grid.index() < grid.uniform(0.02, KEPT) * grid.points


_CHANGES: tuple[tuple[float, Change], ...] = (
    (0.10, bursts),
    (0.04, stale),
    (0.06, spikes),
    (0.12, rounded),
    (0.01, unit_change),
    (0.03, dropped),
)
_GAPS = ((0.10, single_gaps), (0.06, gap_runs), (0.05, long_gap), (0.06, before_birth))


def corrupted(grid: Grid, values: Tensor) -> Tensor:
    """Series as a monitoring system would have kept them, NaN where it has nothing."""
    for share, change in _CHANGES:
        values = _on_some(grid, values, share, change)
    missing = torch.zeros_like(values, dtype=torch.bool)
    for share, gaps in _GAPS:
        chosen = grid.chance(share).squeeze(1)
        if bool(chosen.any()):
            missing[chosen] |= gaps(grid.rows(chosen))
    too_many = missing.float().mean(1, keepdim=True) > 1.0 - KEPT
    return values.masked_fill(missing & ~too_many, torch.nan)


def _on_some(grid: Grid, values: Tensor, share: float, change: Change) -> Tensor:
    chosen = grid.chance(share).squeeze(1)
    if not bool(chosen.any()):
        return values
    values[chosen] = change(grid.rows(chosen), values[chosen])
    return values
