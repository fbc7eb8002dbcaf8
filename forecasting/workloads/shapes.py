"""Building blocks of the families: cycles, drift, coloured noise, stretches of time and bursts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from forecasting.workloads.grid import DAY_S, WEEK_S, Grid

#: Points of a cycle's table: a day in 5 minutes.
_BINS = 288
_WEEK_BINS = 7 * 144
_HARMONICS = 8
#: Stretches per series at most; the last of them goes on to the end.
_STRETCHES = 2048


def profiles(grid: Grid, bins: int = _BINS) -> Tensor:
    """Shapes of one cycle, `(series, bins)`, from 0 at the trough to 1 at the peak.

    Sums of harmonics, one to three humps, or a plateau between two slopes; lopsided, and sharp or flat at the top.
    """
    turn = 2.0 * math.pi
    angle = torch.arange(bins, device=grid.device, dtype=torch.float32) * (turn / bins) + turn * grid.uniform(0.0, 1.0)
    angle = angle + grid.uniform(-0.8, 0.8) * torch.sin(angle + turn * grid.uniform(0.0, 1.0))

    order = torch.arange(1, _HARMONICS + 1, device=grid.device, dtype=torch.float32)
    weight = (grid.normal(_HARMONICS) * order ** -grid.uniform(0.7, 2.5)).unsqueeze(2)
    shift = turn * grid.uniform(0.0, 1.0, _HARMONICS).unsqueeze(2)
    harmonics = (weight * torch.cos(order.view(1, -1, 1) * angle.unsqueeze(1) + shift)).sum(1)

    sharpness = grid.log_uniform(1.0, 60.0, 3).unsqueeze(2)
    height = (grid.uniform(0.2, 1.0, 3) * (grid.uniform(0.0, 1.0, 3) < 0.6)).unsqueeze(2)
    height[:, 0] = 1.0
    centre = turn * grid.uniform(0.0, 1.0, 3).unsqueeze(2)
    humps = (height * torch.exp(sharpness * (torch.cos(angle.unsqueeze(1) - centre) - 1.0))).sum(1)

    width = torch.cos(math.pi * grid.uniform(0.2, 0.8))
    plateau = torch.sigmoid(grid.log_uniform(2.0, 30.0) * (torch.cos(angle) - width))

    kind = grid.integers(0, 5)
    shape = torch.where(kind < 2, harmonics, torch.where(kind < 4, humps, plateau))
    low = shape.amin(1, keepdim=True)
    risen = (shape - low) / (shape.amax(1, keepdim=True) - low).clamp(min=1e-6)
    return torch.pow(risen, grid.log_uniform(0.5, 2.5))


def looked_up(table: Tensor, cycles: Tensor) -> Tensor:
    """The shape of a cycle at each point, linear between the entries of `table` `(series, bins)`."""
    bins = table.shape[1]
    # Height and rise to the next entry travel as one complex number: half the memory accesses of two look-ups.
    entries = torch.complex(table, torch.roll(table, -1, 1) - table)
    place = cycles.frac() * bins
    below = place.long().clamp_(max=bins - 1)
    found = torch.view_as_real(entries.gather(1, below))
    return torch.addcmul(found[..., 0], found[..., 1], place - below)


def wander(grid: Grid, deviation: Tensor, knots: int = 65) -> Tensor:
    """A slow walk around 0, `(series, points)`, that has drifted by `deviation` `(series, 1)` at the end."""
    walk = (grid.normal(knots) * (deviation / math.sqrt(knots))).cumsum(1)
    walk = walk - walk.mean(1, keepdim=True)
    return interpolate(walk.unsqueeze(1), size=grid.points, mode="linear", align_corners=True).squeeze(1)


def spectrum_noise(grid: Grid, power: Tensor, padded: int) -> Tensor:
    """Noise of unit variance with a power spectrum `(series, padded // 2 + 1)`, `(series, points)`."""
    gain = (power / power.mean(1, keepdim=True)).sqrt()
    white = torch.fft.rfft(grid.normal(padded))
    series: Tensor = torch.fft.irfft(white * gain, n=padded)
    return series[:, : grid.points]


def padded_length(points: int) -> int:
    """Points of a transform that leaves room after the series for what its filters carry around the end."""
    # Multiples of a sixteenth of the size or so: no prime factors that are slow to transform.
    unit = 1 << max(1, points.bit_length() - 4)
    return -(-(points + points // 4) // unit) * unit


def _longest_memory(points: int) -> float:
    """A decay in points, beyond which filtered noise and bursts would meet their own beginning."""
    return 0.25 * (padded_length(points) - points)


def frequencies(grid: Grid, padded: int) -> Tensor:
    """Angular frequencies of a real transform, radians per point, `(padded // 2 + 1,)`."""
    return torch.linspace(0.0, math.pi, padded // 2 + 1, device=grid.device)


def coloured(grid: Grid, correlation_points: Tensor, share: Tensor) -> Tensor:
    """Noise of unit variance: a `share` of it forgets with `correlation_points`, the rest is new at each point."""
    padded = padded_length(grid.points)
    memory = torch.exp(-1.0 / correlation_points.clamp(0.2, _longest_memory(grid.points)))
    slow = (1.0 - memory**2) / (1.0 + memory**2 - 2.0 * memory * torch.cos(frequencies(grid, padded)))
    return spectrum_noise(grid, share * slow + (1.0 - share), padded)


@dataclass(frozen=True, slots=True)
class Stretches:
    """Time cut into stretches that follow each other: the number of each point's, its age and full length in points."""

    number: Tensor
    age: Tensor
    length: Tensor

    def of_each(self, table: Tensor) -> Tensor:
        """What a table `(series, entries)` holds for the stretch of each point; numbers beyond it begin again."""
        return table.gather(1, torch.remainder(self.number, table.shape[1]))


def stretches(grid: Grid, mean_points: Tensor, spread: Tensor) -> Stretches:
    """Stretches of lognormal length around `mean_points`; `spread` is the deviation of its logarithm (0: regular)."""
    most = max(4, min(_STRETCHES, grid.points // 2))
    lengths = (mean_points * torch.exp(spread * grid.normal(most) - 0.5 * spread**2)).clamp(min=1.0)
    ends = lengths.cumsum(1) - grid.uniform(0.0, 1.0) * lengths[:, :1]
    marks = torch.zeros(grid.series, grid.points + 1, device=grid.device)
    marks.scatter_add_(1, ends.ceil().clamp(max=grid.points).long(), torch.ones_like(ends))
    number = marks[:, :-1].cumsum(1).long().clamp(max=most - 1)
    begins = ends - lengths
    age = grid.index() - begins.gather(1, number)
    return Stretches(number, age, lengths.gather(1, number))


def convolved(grid: Grid, impulses: Tensor, kernel: Tensor) -> Tensor:
    """Impulses `(series, points)`, each followed by its series' `kernel` `(series, fewer points)`."""
    padded = padded_length(grid.points)
    both = torch.fft.rfft(impulses, n=padded) * torch.fft.rfft(kernel, n=padded)
    followed: Tensor = torch.fft.irfft(both, n=padded)
    return followed[:, : grid.points]


def shots(grid: Grid, per_point: Tensor, tail: Tensor, rise_points: Tensor, decay_points: Tensor) -> Tensor:
    """Bursts at random times, of Pareto size with exponent `tail`, each rising and decaying, `(series, points)`."""
    lottery = grid.unit_noise()
    hit = lottery < per_point
    # A winning ticket is itself uniform on (0, per_point): no second draw for the size.
    size = (lottery / per_point).clamp(min=1e-4) ** (-1.0 / tail)
    # No longer than the padding of the transform, so that no burst comes back at the beginning.
    age = grid.index()[: max(1, padded_length(grid.points) - grid.points)]
    decay = decay_points.clamp(max=_longest_memory(grid.points))
    kernel = torch.exp(-age / decay) - torch.exp(-(age + 1.0) / rise_points.clamp(min=0.2))
    kernel = kernel.clamp(min=0.0)
    kernel = kernel / kernel.amax(1, keepdim=True).clamp(min=1e-6)
    return convolved(grid, torch.where(hit, size, 0.0), kernel).clamp(min=0.0)


def week_profiles(grid: Grid) -> Tensor:
    """Shapes of a week from Monday 0:00, `(series, bins)`: a day's, weekends with their own level and shape."""
    per_day = _WEEK_BINS // 7
    workday, restday = profiles(grid, per_day), profiles(grid, per_day)
    alike = grid.chance(0.6)
    restday = torch.where(alike, workday, 0.5 * (workday + restday))
    level = 1.0 + 0.08 * grid.normal(7)
    level[:, 5:] = level[:, 5:] * torch.where(grid.chance(0.8), grid.log_uniform(0.15, 1.0), grid.log_uniform(1.0, 2.5))
    level = level.clamp(min=0.02)
    days = [(restday if day >= 5 else workday) * level[:, day : day + 1] for day in range(7)]
    return torch.cat(days, 1)


def holidays(grid: Grid, days: Tensor, per_day: float = 0.03) -> Tensor:
    """A factor per point, 1 on ordinary days; `days` `(series, points)` counts days."""
    table = torch.where(grid.chance(per_day, 366), grid.log_uniform(0.2, 2.0, 366), 1.0)
    return table.gather(1, torch.remainder(days.long(), 366))


def daily_demand(grid: Grid, seasonal_share: float = 0.75, deepest: float = 0.03) -> Tensor:
    """Demand around 1, positive, `(series, points)`: days or weeks with drift in some series, level in the others."""
    floor = grid.log_uniform(deepest, 0.95)
    free_s = grid.log_uniform(8.0, grid.points / 2.0) * grid.seconds_per_point
    period_s = torch.where(grid.chance(0.85), DAY_S, free_s)
    day = floor + (1.0 - floor) * looked_up(profiles(grid), grid.cycles(period_s))
    weekly = (grid.chance(0.3) & (grid.seconds_per_point >= 60.0)).squeeze(1)
    if bool(weekly.any()):
        part = grid.rows(weekly)
        week = looked_up(week_profiles(part), part.weeks(part.uniform(-0.5, 0.5) * DAY_S))
        day[weekly] = floor[weekly] + (1.0 - floor[weekly]) * week
    level = torch.where(grid.chance(seasonal_share), day, torch.ones_like(day))
    drift = wander(grid, torch.where(grid.chance(0.6), grid.log_uniform(0.02, 0.6), 0.0)).exp()
    rippled = grid.chance(0.15).squeeze(1)
    if bool(rippled.any()):
        part = grid.rows(rippled)
        period_s = part.lengths(300.0, 14_400.0, 4.0, 100.0) * part.seconds_per_point
        drift[rippled] *= 1.0 + part.log_uniform(0.02, 0.8) * looked_up(profiles(part), part.cycles(period_s))
    return level * drift


def week_cycle(grid: Grid) -> Tensor:
    """Weeks with holidays, 0 to about 1, `(series, points)`."""
    weeks = grid.weeks(grid.uniform(-0.5, 0.5) * DAY_S)
    return looked_up(week_profiles(grid), weeks) * holidays(grid, weeks * (WEEK_S / DAY_S))


def one_of_kinds(grid: Grid, *kinds: tuple[float, Callable[[Grid], Tensor]]) -> Tensor:
    """Each series drawn as one of several kinds; with its probability. Kinds that nobody drew cost nothing."""
    likely = torch.tensor([probability for probability, _ in kinds], device=grid.device)
    kind = torch.multinomial(likely, grid.series, replacement=True, generator=grid.generator)
    values = torch.empty(grid.series, grid.points, device=grid.device)
    for number, (_, draw) in enumerate(kinds):
        rows = (kind == number).nonzero().squeeze(1)
        if rows.numel():
            values[rows] = draw(grid.rows(rows))
    return values


def limited(values: Tensor, ceiling: Tensor, softness: Tensor) -> Tensor:
    """Values that bend towards a ceiling and do not pass it; `softness` 0 cuts them off."""
    hard = torch.minimum(values, ceiling)
    soft = ceiling * (1.0 - torch.exp(-values.clamp(min=0.0) / ceiling))
    return torch.lerp(hard, soft, softness)
