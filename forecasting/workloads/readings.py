"""From the shape of a signal to what monitoring reads: counted events, gauges, percentages, with their noise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from forecasting.workloads.grid import Drawn, Grid
from forecasting.workloads.shapes import coloured

#: Series whose mean count falls below this are drawn as Poisson numbers; for others the square of a normal number of
#: deviation 1/2 around about the root of the mean has the right mean, variance and skew, at a fifth of the time.
_FEW = 4.0
#: That square has the mean r² + 1/4 and the variance r² + 1/8; rounding it adds a variance of 1/12.
_LESS, _BACK = 1.0 / 8.0 + 1.0 / 12.0, 1.0 / 4.0 - (1.0 / 8.0 + 1.0 / 12.0)


def counted(grid: Grid, mean: Tensor) -> Tensor:
    """Poisson counts of a mean `(series, points)`, whole numbers."""
    few = mean.amin(1) < _FEW
    counts = torch.empty_like(mean)
    if bool(few.any()):
        counts[few] = torch.poisson(mean[few], generator=grid.generator)
    if not bool(few.all()):
        many = ~few
        root = torch.add((mean[many] - _LESS).sqrt_(), grid.rows(many).noise(), alpha=0.5)
        counts[many] = (root * root).sub_(_BACK).round_().clamp_(min=0.0)
    return counts


def noise(grid: Grid) -> Tensor:
    """Noise of about unit variance, `(series, points)`: white or with memory, some skewed or heavy in the tails."""
    normal = grid.noise()
    remembering = grid.chance(0.6).squeeze(1)
    if bool(remembering.any()):
        part = grid.rows(remembering)
        normal[remembering] = coloured(part, part.lengths(10.0, 7_200.0, 0.5, 300.0), part.uniform(0.1, 1.0))
    heaviness = torch.where(grid.chance(0.55), grid.uniform(0.2, 1.0), 1e-2)
    bent = torch.exp(heaviness * normal)
    # Minus 1: long above only; minus the reciprocal: on both sides alike (twice the hyperbolic sine).
    symmetric = grid.chance(0.5)
    return (bent - torch.where(symmetric, 1.0 / bent, 1.0)) / torch.where(symmetric, 2.0 * heaviness, heaviness)


def as_demand(grid: Grid, relative: Tensor, low_rps: float = 0.05, high_rps: float = 1e5) -> Tensor:
    """Events counted over each step, per second or per step, where `relative` `(series, points)` is demand around 1.

    The fine noise of single arrivals falls with the step length; that of the demand itself does not.
    """
    deviation = torch.where(grid.chance(0.8), grid.log_uniform(0.01, 0.5), 1e-3)
    swing = (deviation * noise(grid)).clamp(-3.0, 3.0).exp()
    mean = grid.log_uniform(low_rps, high_rps) * grid.seconds_per_point * relative.clamp(min=0.0) * swing
    counts = counted(grid, mean)
    return torch.where(grid.chance(0.6), counts / grid.seconds_per_point, counts)


def as_gauge(grid: Grid, shape: Tensor) -> Tensor:
    """A gauge of any unit and offset, where `shape` `(series, points)` spreads over about 1."""
    deviation = torch.where(grid.chance(0.75), grid.log_uniform(0.01, 0.8), grid.log_uniform(1e-5, 0.01))
    size = torch.where(grid.chance(0.3), shape.abs().clamp(max=4.0), torch.ones_like(shape))
    return scaled(grid, shape + deviation * size * noise(grid))


def scaled(grid: Grid, values: Tensor) -> Tensor:
    """Values of the order of 1 in some unit: most positive, some over a large base, few negative or around 0."""
    kind = grid.uniform(0.0, 1.0)
    base = torch.where(kind < 0.5, torch.zeros_like(kind), grid.log_uniform(0.3, 300.0))
    moved = torch.where(kind < 0.92, (values + base).clamp(min=0.0), base.clamp(max=3.0) - values)
    return moved * torch.exp(grid.uniform(-4.0, 8.0) * 2.302585)


def as_percent(grid: Grid, share: Tensor) -> Tensor:
    """A utilisation `(series, points)` from 0 to about 1 as read: noisy, cut at both ends, in percent or as a ratio."""
    deviation = grid.log_uniform(0.002, 0.12)
    read = (share + deviation * (0.2 + share).clamp(0.0, 1.0) * noise(grid)).clamp(0.0, 1.0)
    return torch.where(grid.chance(0.75), 100.0 * read, read)


Reading = Callable[[Grid, Tensor], Tensor]


def read_as(grid: Grid, shape: Tensor, first: Reading, second: Reading, share: float) -> Tensor:
    """Each series read in one of two ways; `share` is the probability of the first."""
    chosen = grid.chance(share).squeeze(1)
    values = torch.empty_like(shape)
    for mask, reading in ((chosen, first), (~chosen, second)):
        if bool(mask.any()):
            values[mask] = reading(grid.rows(mask), shape[mask])
    return values


def measured(grid: Grid, relative: Tensor, demand_share: float = 0.6, event_log: Tensor | None = None) -> Drawn:
    """Positive shapes around 1 as demand or as gauges."""
    return Drawn(read_as(grid, relative, as_demand, as_gauge, demand_share), event_log)
