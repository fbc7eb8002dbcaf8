"""Families in which something happens: sales, promotions, fame, load tests, releases, leaks and switches."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from forecasting.workloads.grid import DAY_S, Drawn, Grid
from forecasting.workloads.readings import as_demand, as_gauge, as_percent, measured, noise, read_as, scaled
from forecasting.workloads.shapes import Stretches, daily_demand, limited, stretches, wander

#: What came of a declared multiplier, as a deviation of its logarithm.
DECLARED_ERROR = 0.25
#: Log multiplier from which on the error is that large: nobody is a quarter wrong about a rise by a tenth.
_FULL_ERROR = 0.7


def _window(grid: Grid, start: Tensor, length: Tensor, ramp: Tensor) -> Tensor:
    """0 outside an event, 1 inside, rising in a straight line over its ramp (all in points), `(series, points)`."""
    age = grid.index() - start
    return torch.where((age >= 0.0) & (age < length), (age / ramp.clamp(min=1e-3)).clamp(max=1.0), 0.0)


@dataclass(frozen=True, slots=True)
class _Sale:
    """One kind of event of each series, `(series, 1)`: what is announced, and its times in points."""

    multiplier: Tensor
    length: Tensor
    ramp: Tensor
    fading: Tensor  # e-folds of the effect that are lost over the length, after the plateau
    plateau: Tensor  # share of the length
    tail: Tensor  # decay of what is left after the end

    def rows(self, chosen: Tensor) -> _Sale:
        return _Sale(*(getattr(self, field.name)[chosen] for field in fields(self)))


def _held(grid: Grid, sale: _Sale, start: Tensor, announced: Tensor) -> tuple[Tensor, Tensor]:
    """What one sale per series multiplies demand by, and the log of what was announced, both `(series, points)`."""
    window = _window(grid, start, sale.length, sale.ramp)
    age = grid.index() - start
    inside = window * torch.exp(-sale.fading * (age / sale.length - sale.plateau).clamp(min=0.0))
    leaving = torch.exp(-(age - sale.length).clamp(min=0.0) / sale.tail - sale.fading * (1.0 - sale.plateau))
    size = announced.log()
    error = DECLARED_ERROR * (size.abs() / _FULL_ERROR).clamp(max=1.0) * grid.normal()
    effect = (size + error).exp() - 1.0
    return 1.0 + effect * torch.where(age >= sale.length, leaving, inside), torch.log1p((announced - 1.0) * window)


def _sold(grid: Grid, multiplier: Tensor, length: Tensor, ramp: Tensor, sales: int) -> tuple[Tensor, Tensor]:
    """What all sales multiply demand by, and the log of what was declared ahead, both `(series, points)`.

    Half of the series declare none of their sales, the others all. Some sales come back each day.
    """
    fading = torch.where(grid.chance(0.5), grid.log_uniform(0.2, 4.0), 0.0)
    tail = torch.where(grid.chance(0.5), grid.log_uniform(0.02, 0.5), 0.0) * length
    sale = _Sale(multiplier, length, ramp, fading, grid.uniform(0.0, 0.6), tail.clamp(min=0.3))
    daily = grid.chance(0.25)
    start = (grid.uniform(-0.1, 1.0) * grid.points).round()
    realised, declared = _held(grid, sale, start, multiplier)
    for number in range(1, sales):
        again = (grid.chance(0.3) | daily).squeeze(1)
        if bool(again.any()):
            part, same = grid.rows(again), sale.rows(again)
            next_day = (start[again] + number * DAY_S / part.seconds_per_point).round()
            later = torch.where(daily[again], next_day, (part.uniform(0.0, 1.0) * grid.points).round())
            announced = 1.0 + (same.multiplier - 1.0) * part.uniform(0.5, 1.1)
            effect, said = _held(part, same, later, announced)
            realised[again] *= effect
            declared[again] += said
    return realised, declared * grid.chance(0.55)


def flash_sale(grid: Grid) -> Drawn:
    """Demand jumps, holds or decays, and leaves again; about half of the sales are declared ahead."""
    multiplier = 1.0 + grid.log_uniform(0.3, 25.0)
    length = grid.lengths(600.0, 86_400.0, 6.0, grid.points / 6.0)
    ramp = torch.where(grid.chance(0.5), torch.ones_like(length), grid.log_uniform(1.0, 20.0)).minimum(length / 2)
    realised, declared = _sold(grid, multiplier, length, ramp, sales=3)
    return measured(grid, daily_demand(grid) * realised, demand_share=0.8, event_log=declared)


def promo_step(grid: Grid) -> Drawn:
    """A campaign lifts demand for hours or days; some events, such as maintenance, lower it."""
    lifted = grid.uniform(1.1, 3.0)
    multiplier = torch.where(grid.chance(0.15), grid.uniform(0.1, 0.8), lifted)
    length = grid.lengths(3_600.0, 7.0 * DAY_S, 50.0, grid.points / 2.0)
    ramp = grid.log_uniform(1.0, 100.0).minimum(length / 3)
    realised, declared = _sold(grid, multiplier, length, ramp, sales=2)
    return measured(grid, daily_demand(grid) * realised, demand_share=0.8, event_log=declared)


def viral(grid: Grid) -> Drawn:
    """Attention rises like an epidemic and fades, by a power of time or exponentially."""
    shape = daily_demand(grid) * _fame(grid)
    for _ in range(2):
        again = grid.chance(0.3).squeeze(1)
        if bool(again.any()):
            shape[again] *= _fame(grid.rows(again))
    return measured(grid, shape, demand_share=0.75)


def _fame(grid: Grid) -> Tensor:
    """What one rise and fall of attention multiplies demand by, `(series, points)`."""
    rise = grid.lengths(120.0, 14_400.0, 1.0, 80.0)
    fall = rise * grid.log_uniform(1.0, 20.0)
    age = grid.index() - grid.uniform(-0.1, 1.05) * grid.points
    coming = torch.sigmoid(age * (4.0 / rise))
    after = (age.clamp(min=0.0) / fall).clamp(max=60.0)
    power = (1.0 + after) ** -grid.uniform(0.8, 2.5)
    fading = torch.where(grid.chance(0.6), power, torch.exp(-after))
    return 1.0 + grid.log_uniform(0.3, 40.0) * torch.where(age < 0.0, 2.0 * coming, fading)


def saturation(grid: Grid) -> Drawn:
    """Demand that a capacity cuts off: throughput stays at it while more is wanted."""
    wanted = daily_demand(grid, seasonal_share=0.9) * (grid.log_uniform(0.01, 0.3) * noise(grid)).exp()
    wished = grid.chance(0.4).squeeze(1)
    if bool(wished.any()):
        wanted[wished] *= _fame(grid.rows(wished))
    ceiling = (wanted.mean(1, keepdim=True) * grid.log_uniform(0.7, 2.5)).minimum(0.95 * wanted.amax(1, keepdim=True))
    served = limited(wanted, ceiling, 0.3 * grid.chance(0.3).float())
    return Drawn(scaled(grid, served * (1.0 + grid.log_uniform(1e-4, 0.02) * grid.noise())))


def ramp(grid: Grid) -> Drawn:
    """Straight or stepped climbs and descents, as in load tests and migrations, with rests between them."""
    cuts = stretches(grid, grid.lengths(600.0, DAY_S, 20.0, grid.points / 2.0), grid.uniform(0.1, 0.8))
    levels = torch.where(grid.chance(0.5), grid.uniform(0.05, 1.0, 256), grid.log_uniform(0.05, 5.0, 256))
    before = torch.roll(levels, 1, 1)
    resting = (grid.chance(0.3, 256)).float()
    levels = torch.lerp(levels, before, resting)
    progress = (cuts.age / cuts.length).clamp(0.0, 1.0)
    stairs = grid.log_uniform(3.0, 20.0).round()
    progress = torch.where(grid.chance(0.25), (progress * stairs).floor() / stairs, progress)
    shape = torch.lerp(cuts.of_each(torch.roll(levels, 1, 1)), cuts.of_each(levels), progress)
    return measured(grid, shape, demand_share=0.5)


def regime(grid: Grid) -> Drawn:
    """Level and variance switch between a few states."""
    cuts = stretches(grid, grid.lengths(600.0, 4.0 * DAY_S, 8.0, grid.points / 2.0), grid.uniform(0.3, 1.5))
    states = grid.integers(2, 6)
    order = torch.remainder(grid.integers(0, 60, 256), states)
    levels = grid.uniform(0.0, 2.0, 6).gather(1, order)
    deviations = grid.log_uniform(0.003, 0.5, 6).gather(1, order)
    level = cuts.of_each(levels)
    shape = level + cuts.of_each(deviations) * noise(grid)
    return Drawn(scaled(grid, shape))


def _since_release(grid: Grid, cuts: Stretches) -> Tensor:
    """A disturbance that dies away after each release, `(series, points)`; none before the first one."""
    fading = torch.exp(-cuts.age.clamp(min=0.0) / grid.log_uniform(1.0, 40.0))
    return torch.where(cuts.number > 0, fading, 0.0)


def deploy_step(grid: Grid) -> Drawn:
    """Each release moves the level a little and is followed by a short disturbance."""
    cuts = stretches(grid, grid.lengths(3_600.0, 7.0 * DAY_S, 60.0, grid.points / 1.5), grid.uniform(0.2, 1.0))
    moves = (grid.log_uniform(0.03, 0.6) * grid.normal(256)).cumsum(1).clamp(-3.0, 3.0).exp()
    disturbed = 1.0 + _since_release(grid, cuts) * grid.uniform(-0.9, 3.0)
    shape = daily_demand(grid, seasonal_share=0.5) * cuts.of_each(moves) * disturbed
    return read_as_gauge_or_percent(grid, shape)


def read_as_gauge_or_percent(grid: Grid, shape: Tensor) -> Drawn:
    """Shapes around 1 as gauges, a third of them as utilisations."""
    busiest = shape.amax(1, keepdim=True).clamp(min=1e-6)
    as_share = shape / busiest * grid.uniform(0.1, 1.05)
    percent = grid.chance(0.33).squeeze(1)
    values = as_gauge(grid, shape)
    if bool(percent.any()):
        values[percent] = as_percent(grid.rows(percent), as_share[percent])
    return Drawn(values)


def leak(grid: Grid) -> Drawn:
    """Memory that climbs from restart to restart, straight or bent; some stay on a plateau, some leak only at times."""
    life = grid.lengths(3_600.0, 7.0 * DAY_S, 48.0, grid.points * 1.2)
    cuts = stretches(grid, life, torch.where(grid.chance(0.5), grid.log_uniform(0.01, 0.1), grid.uniform(0.2, 0.8)))
    age = cuts.age.clamp(min=0.0)
    base = grid.log_uniform(0.1, 0.9)
    progress = age / torch.where(grid.chance(0.6), cuts.length, life)
    climb = progress ** grid.log_uniform(0.5, 2.0)
    leaking = cuts.of_each((grid.uniform(0.0, 1.0, 64) < grid.uniform(0.5, 1.3)).float())
    warm = 1.0 - torch.exp(-age / grid.log_uniform(1.0, 60.0))
    used = base * (0.7 + 0.3 * warm) + (1.0 - base) * leaking * climb
    used = torch.where(grid.chance(0.15), used.clamp(max=1.0), used.clamp(max=1.3))
    collected = torch.where(grid.chance(0.4), grid.log_uniform(0.01, 0.2), torch.zeros_like(base))
    period = grid.log_uniform(3.0, 60.0)
    saw = torch.remainder(age, period) / period
    deviation = grid.log_uniform(1e-4, 0.03)
    read = used + collected * saw * (0.5 + warm) + deviation * noise(grid)
    limit = torch.where(grid.chance(0.6), grid.log_uniform(3e7, 6e10), grid.log_uniform(30.0, 60_000.0))
    limit = torch.where(grid.chance(0.15), torch.full_like(limit, 100.0), limit)
    return Drawn(read.clamp(min=0.0) * limit)


def sawtooth(grid: Grid) -> Drawn:
    """Climbs that are collected again and again: heaps, buffers, rotated logs, batches of work."""
    cuts = stretches(grid, grid.lengths(60.0, DAY_S, 4.0, 400.0), grid.log_uniform(0.005, 0.5))
    progress = (cuts.age / cuts.length).clamp(0.0, 1.0)
    bend = grid.log_uniform(0.5, 2.0)
    teeth = progress**bend
    falling = grid.chance(0.2)
    teeth = torch.where(falling, 1.0 - teeth, teeth)
    heights = (grid.log_uniform(0.01, 0.4) * grid.normal(512)).exp()
    floor = grid.uniform(0.0, 2.0) * wander(grid, grid.log_uniform(0.01, 0.5)).exp()
    shape = floor + teeth * cuts.of_each(heights)
    return read_as_gauge_or_percent(grid, shape)


def constant(grid: Grid) -> Drawn:
    """A setting that rarely changes: replicas, limits, versions; many never do."""
    cuts = stretches(grid, grid.lengths(3_600.0, 30.0 * DAY_S, 200.0, grid.points * 4.0), grid.uniform(0.5, 1.5))
    settings = grid.integers(0, 12, 64).float()
    steps = (grid.integers(1, 40) + grid.integers(-1, 2, 64).cumsum(1)).clamp(min=0).float()
    numbers = cuts.of_each(torch.where(grid.chance(0.5), settings, steps))
    same = grid.chance(0.3)
    numbers = torch.where(same, numbers[:, :1], numbers)
    whole = grid.chance(0.6).squeeze(1)
    values = numbers.clone()
    if bool((~whole).any()):
        values[~whole] = scaled(grid.rows(~whole), numbers[~whole])
    return Drawn(values)


def load_test(grid: Grid) -> Drawn:
    """Short runs of synthetic load between idle times."""
    cuts = stretches(grid, grid.lengths(300.0, 14_400.0, 10.0, 500.0), grid.uniform(0.1, 0.8))
    heights = torch.where(grid.chance(0.5, 128), grid.log_uniform(0.2, 2.0, 128), 0.0)
    rising = (cuts.age / grid.log_uniform(1.0, 40.0)).clamp(0.0, 1.0)
    shape = 0.01 + cuts.of_each(heights) * rising
    return Drawn(read_as(grid, shape, as_demand, as_gauge, 0.7))
