"""Families that repeat: days, weeks, other cycles, scheduled jobs, and what load makes of latency and processors."""

from __future__ import annotations

import torch
from torch import Tensor

from forecasting.workloads.grid import DAY_S, Drawn, Grid
from forecasting.workloads.readings import as_demand, as_gauge, as_percent, counted, measured, noise
from forecasting.workloads.shapes import (
    daily_demand,
    limited,
    looked_up,
    one_of_kinds,
    profiles,
    shots,
    stretches,
    wander,
    week_cycle,
)

_SCHEDULES_S = (60.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0, DAY_S)
#: Occurrences of a job after which its heights and delays begin again.
_OCCURRENCES = 512


def diurnal(grid: Grid) -> Drawn:
    """Days, or cycles of another length, whose level and amplitude drift."""
    day = torch.full_like(grid.seconds_per_point, DAY_S)
    other = grid.log_uniform(12.0, grid.points / 1.5) * grid.seconds_per_point
    period_s = torch.where(grid.chance(0.65), day, other)
    floor = grid.log_uniform(0.02, 0.95)
    cycle = looked_up(profiles(grid), grid.cycles(period_s))
    still = torch.zeros_like(floor)
    swing = wander(grid, torch.where(grid.chance(0.5), grid.log_uniform(0.05, 0.5), still), knots=33).exp()
    level = wander(grid, torch.where(grid.chance(0.6), grid.log_uniform(0.02, 0.6), still)).exp()
    return measured(grid, (floor + (1.0 - floor) * cycle * swing) * level)


def weekly(grid: Grid) -> Drawn:
    """Weeks with weekends and holidays."""
    floor = grid.log_uniform(0.02, 0.7)
    level = wander(grid, grid.log_uniform(0.01, 0.5)).exp()
    return measured(grid, (floor + (1.0 - floor) * week_cycle(grid)) * level)


def trend_season(grid: Grid) -> Drawn:
    """A trend, one to three cycles and noise, added up."""
    share = grid.index() / grid.points
    bend = grid.log_uniform(0.4, 2.5)
    total = grid.normal() * 1.5 * share**bend + wander(grid, grid.log_uniform(0.02, 1.0), knots=17)
    for chance, longest in ((1.0, DAY_S), (0.5, None), (0.3, None)):
        free = grid.log_uniform(6.0, grid.points / 2.0) * grid.seconds_per_point
        period_s = free if longest is None else torch.where(grid.chance(0.5), torch.full_like(free, longest), free)
        height = torch.where(grid.chance(chance), grid.log_uniform(0.1, 1.5), torch.zeros_like(free))
        total = total + height * (looked_up(profiles(grid), grid.cycles(period_s)) - 0.5)
    return Drawn(as_gauge(grid, total - total.amin(1, keepdim=True) + grid.uniform(0.0, 3.0)))


def jobs(grid: Grid, width_points: Tensor) -> Tensor:
    """Scheduled work over an idle level of 0, around 1 while it runs, `(series, points)`."""
    scheduled = grid.one_of(_SCHEDULES_S)
    free = grid.log_uniform(4.0, grid.points / 3.0) * grid.seconds_per_point
    fits = (scheduled >= 3.0 * grid.seconds_per_point) & (scheduled <= grid.points / 2.0 * grid.seconds_per_point)
    period_s = torch.where(fits & grid.chance(0.7), scheduled, free)
    period = period_s / grid.seconds_per_point
    cycles = grid.cycles(period_s) + grid.uniform(0.0, 1.0)
    run = torch.remainder(cycles.long(), _OCCURRENCES)
    uneven = torch.where(grid.chance(0.5), grid.log_uniform(0.02, 0.6), torch.zeros_like(period))
    luck = grid.normal(_OCCURRENCES)
    # Some grow and shrink from run to run, as batches do with what they work on.
    luck = torch.where(grid.chance(0.3), 0.3 * luck.cumsum(1), luck).clamp(-4.0, 4.0)
    heights = (uneven * luck).exp() * (grid.uniform(0.0, 1.0, _OCCURRENCES) > 0.03)
    late = torch.where(grid.chance(0.5), grid.log_uniform(0.05, 2.0), torch.zeros_like(period))
    delays = (late * grid.normal(_OCCURRENCES).abs()).clamp(max=4.0)
    width = torch.minimum(width_points, 0.6 * period).clamp(min=1.0)
    age = cycles.frac() * period - delays.gather(1, run)
    fading = torch.where(grid.chance(0.4), grid.uniform(0.3, 3.0), torch.zeros_like(period))
    running = (age >= 0.0) & (age < width)
    return torch.where(running, heights.gather(1, run) * torch.exp(-fading * age / width), 0.0)


def cron_bursts(grid: Grid) -> Drawn:
    """Jobs on a schedule, over an idle or a busy level."""
    work = jobs(grid, grid.log_uniform(1.0, 10.0)) * grid.log_uniform(0.3, 30.0)
    busy = torch.where(grid.chance(0.3), grid.uniform(0.2, 1.0), torch.zeros_like(work[:, :1]))
    level = torch.lerp(torch.ones_like(work), daily_demand(grid), busy)
    return measured(grid, level + work, demand_share=0.35)


def load(grid: Grid, lowest_peak: float, highest_peak: float) -> Tensor:
    """How busy something is, `(series, points)`, its own peak between two shares of capacity."""
    demand = daily_demand(grid) * (grid.log_uniform(0.005, 0.2) * grid.noise()).exp_()
    return demand / demand.amax(1, keepdim=True) * grid.log_uniform(lowest_peak, highest_peak)


def latency(grid: Grid) -> Drawn:
    """Latency over a load curve, long in the tail, with single slow answers."""
    busy = load(grid, 0.1, 0.97).clamp(max=0.985)
    queueing = grid.log_uniform(0.05, 1.0) * busy / (1.0 - busy)
    spread = grid.log_uniform(0.01, 0.6)
    typical = (1.0 + queueing) * torch.exp(spread * noise(grid)).clamp(0.1, 40.0)
    slow = grid.chance(0.5).squeeze(1)
    if bool(slow.any()):
        part = grid.rows(slow)
        rare = shots(
            part,
            part.log_uniform(5e-4, 0.03),
            part.uniform(1.2, 3.0),
            part.uniform(0.2, 1.0),
            part.log_uniform(0.3, 20.0),
        )
        typical[slow] += part.log_uniform(0.3, 10.0) * rare.clamp(max=300.0)
    return Drawn(typical * grid.log_uniform(5e-4, 3.0) * grid.one_of((1.0, 1_000.0)))


def cpu_percent(grid: Grid) -> Drawn:
    """Processors in use: driven by load, switched on and off by batch work, or idle with spikes."""
    share = one_of_kinds(grid, (0.5, _driven), (0.2, _batch), (0.3, _idle))
    nightly = grid.chance(0.25).squeeze(1)
    if bool(nightly.any()):
        part = grid.rows(nightly)
        share[nightly] += part.uniform(0.05, 0.6) * jobs(part, part.log_uniform(1.0, 10.0))
    return Drawn(as_percent(grid, share))


def _driven(grid: Grid) -> Tensor:
    return limited(load(grid, 0.05, 1.6), torch.ones_like(grid.seconds_per_point), grid.chance(0.4).float())


def _batch(grid: Grid) -> Tensor:
    cuts = stretches(grid, grid.lengths(300.0, 86_400.0, 3.0, 600.0), grid.uniform(0.3, 1.5))
    working = torch.where(grid.chance(0.6), grid.uniform(0.5, 1.0), grid.uniform(0.1, 0.5))
    table = torch.where(
        grid.uniform(0.0, 1.0, 64) < grid.uniform(0.15, 0.8), working * grid.uniform(0.85, 1.05, 64), 0.02
    )
    return cuts.of_each(table)


def _idle(grid: Grid) -> Tensor:
    spikes = shots(
        grid, grid.log_uniform(1e-3, 0.05), grid.uniform(1.2, 3.0), grid.uniform(0.2, 2.0), grid.log_uniform(0.3, 12.0)
    )
    return grid.log_uniform(0.003, 0.4) * (1.0 + grid.log_uniform(0.1, 2.0) * spikes.clamp(max=50.0))


def quantised(grid: Grid) -> Drawn:
    """Readings with few levels: coarse units, small whole numbers, buckets of a histogram."""
    level = daily_demand(grid, seasonal_share=0.6) + grid.log_uniform(0.01, 0.5) * noise(grid)
    level = level / level.abs().amax(1, keepdim=True).clamp(min=1e-6)
    levels = grid.log_uniform(2.0, 60.0).round()
    units = torch.where(grid.chance(0.5), torch.ones_like(levels), grid.log_uniform(1e-3, 1e3))
    return Drawn((level * levels).round().clamp(min=0.0) * units)


def counts(grid: Grid) -> Drawn:
    """Few events per step, whole numbers: orders, crashes, restarts."""
    few = grid.log_uniform(0.03, 25.0)
    rate = torch.maximum(few, 0.01 * grid.seconds_per_point.clamp(max=60.0))
    dispersed = torch.where(grid.chance(0.5), grid.log_uniform(0.1, 1.0), torch.zeros_like(rate))
    swing = (dispersed * noise(grid)).clamp(-4.0, 3.0).exp()
    return Drawn(counted(grid, rate * daily_demand(grid, seasonal_share=0.6) * swing))


def demand_rate(grid: Grid) -> Drawn:
    """Requests per second of a service with strong days, as gateways count them."""
    return Drawn(as_demand(grid, daily_demand(grid, seasonal_share=0.95, deepest=0.05), 0.5, 1e5))
