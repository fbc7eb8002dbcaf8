"""Families without a plan: walks, mean reverting noise, Gaussian processes, bursts, sparse and mostly-zero series."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from forecasting.workloads.grid import Drawn, Grid
from forecasting.workloads.readings import as_gauge, counted, noise, read_as, scaled
from forecasting.workloads.shapes import (
    coloured,
    daily_demand,
    frequencies,
    one_of_kinds,
    padded_length,
    shots,
    spectrum_noise,
    stretches,
    wander,
)


def autoregressive(grid: Grid) -> Drawn:
    """Noise that returns to its mean, at once, slowly, or in a swing (order two)."""
    slow = coloured(grid, grid.log_uniform(0.5, 300.0), grid.uniform(0.5, 1.0))
    padded = padded_length(grid.points)
    radius = 1.0 - grid.log_uniform(0.005, 0.4)
    turn = 2.0 * math.pi / grid.log_uniform(4.0, 300.0)
    angular = frequencies(grid, padded)
    damped = 1.0 + radius**2
    to_pole = (damped - 2.0 * radius * torch.cos(angular - turn)) * (damped - 2.0 * radius * torch.cos(angular + turn))
    swinging = spectrum_noise(grid, 1.0 / to_pole.clamp(min=1e-7), padded)
    wave = torch.where(grid.chance(0.65), slow, swinging)
    exponential = torch.exp(grid.log_uniform(0.05, 1.0) * wave)
    shape = torch.where(grid.chance(0.4), exponential, grid.log_uniform(0.5, 10.0) + wave)
    return Drawn(as_gauge(grid, shape))


def random_walk(grid: Grid) -> Drawn:
    """Walks, also of the logarithm, with calm and wild times and rare jumps."""
    moves = grid.noise()
    wild = grid.chance(0.4).squeeze(1)
    if bool(wild.any()):
        part = grid.rows(wild)
        mood = coloured(part, part.log_uniform(10.0, 400.0), part.uniform(0.7, 1.0))
        moves[wild] *= (part.log_uniform(0.05, 1.2) * mood).exp()
    jumpy = grid.chance(0.25).squeeze(1)
    if bool(jumpy.any()):
        part = grid.rows(jumpy)
        moves[jumpy] *= torch.where(part.unit_noise() < part.log_uniform(5e-4, 0.01), 15.0, 1.0)
    walk = moves.cumsum(1) / math.sqrt(grid.points)
    drift = grid.normal() * torch.where(grid.chance(0.3), grid.log_uniform(0.1, 2.0), torch.zeros_like(walk[:, :1]))
    walk = walk + drift * grid.index() / grid.points
    geometric = torch.exp((grid.log_uniform(0.05, 1.5) * walk).clamp(-12.0, 12.0))
    above = walk - walk.amin(1, keepdim=True) + grid.log_uniform(0.01, 5.0)
    shape = torch.where(grid.chance(0.5), geometric, above)
    noisy = grid.chance(0.5).squeeze(1)
    values = scaled(grid, shape)
    if bool(noisy.any()):
        values[noisy] = as_gauge(grid.rows(noisy), shape[noisy])
    return Drawn(values)


def _smooth_process(grid: Grid, length: Tensor) -> Tensor:
    """Gaussian processes of unit variance with squared-exponential or Matérn kernels of a length in points."""
    padded = 2 * padded_length(grid.points)
    angular = frequencies(grid, padded) * length
    rough = torch.exp(-(grid.one_of((0.5, 1.5, 2.5)) + 0.5) * torch.log1p(angular**2))
    smooth = torch.exp(-0.5 * (angular**2).clamp(max=60.0))
    return spectrum_noise(grid, torch.where(grid.chance(0.3), smooth, rough) + 1e-12, padded)


def gaussian_process(grid: Grid) -> Drawn:
    """Smooth and rough processes, some of them on a wave whose height and phase change with time."""
    process = one_of_kinds(grid, (0.65, _plain_process), (0.35, _unsteady_wave))
    positive = torch.exp(grid.log_uniform(0.1, 1.0) * process)
    return Drawn(as_gauge(grid, torch.where(grid.chance(0.4), positive, process + grid.uniform(0.0, 6.0))))


def _plain_process(grid: Grid) -> Tensor:
    length = grid.lengths(120.0, 86_400.0, 2.0, grid.points / 4.0)
    return _smooth_process(grid, length.clamp(max=grid.points / 3.0))


def _unsteady_wave(grid: Grid) -> Tensor:
    long = grid.log_uniform(grid.points / 20.0, grid.points / 2.0)
    turns = 2.0 * math.pi * grid.index() / grid.log_uniform(6.0, grid.points / 3.0)
    wave = _smooth_process(grid, long) * torch.cos(turns) + _smooth_process(grid, long) * torch.sin(turns)
    return wave + grid.uniform(0.0, 1.0) * coloured(grid, grid.log_uniform(1.0, 100.0), grid.uniform(0.5, 1.0))


def zero_inflated(grid: Grid) -> Drawn:
    """Zero most of the time: batches, retries, crashes, with active spells or single points."""
    active = one_of_kinds(grid, (0.5, _spells), (0.5, _single_points))
    size = (grid.log_uniform(0.1, 1.2) * noise(grid)).clamp(-5.0, 5.0).exp()
    return Drawn(active * read_as(grid, size, _whole_numbers, _any_unit, 0.5))


def _spells(grid: Grid) -> Tensor:
    """1 in some stretches of time, 0 in the others."""
    cuts = stretches(grid, grid.lengths(300.0, 86_400.0, 3.0, 400.0), grid.uniform(0.3, 1.5))
    return cuts.of_each((grid.uniform(0.0, 1.0, 512) < grid.log_uniform(0.03, 0.5)).float())


def _single_points(grid: Grid) -> Tensor:
    """1 at points of their own, more of them where demand is high, 0 elsewhere."""
    often = grid.log_uniform(0.005, 0.4) * daily_demand(grid, seasonal_share=0.5).clamp(max=2.0)
    return (grid.unit_noise() < often).float()


def _whole_numbers(grid: Grid, size: Tensor) -> Tensor:
    return counted(grid, grid.log_uniform(1.0, 200.0) * size)


def _any_unit(grid: Grid, size: Tensor) -> Tensor:
    return size * grid.log_uniform(1e-3, 1e6)


def heavy_bursts(grid: Grid) -> Drawn:
    """Bursts whose size has no typical value, over a calm level."""
    bursts = shots(
        grid,
        grid.log_uniform(5e-4, 0.1),
        grid.uniform(1.1, 3.0),
        grid.log_uniform(0.2, 20.0),
        grid.lengths(60.0, 7_200.0, 0.5, 200.0),
    )
    level = torch.where(grid.chance(0.5), daily_demand(grid, 0.7), torch.ones_like(bursts))
    return Drawn(as_gauge(grid, level + grid.log_uniform(0.05, 5.0) * bursts.clamp(max=500.0)))


def error_rate(grid: Grid) -> Drawn:
    """Shares of failed requests: next to nothing, incidents, and the grain of small samples."""
    cuts = stretches(grid, grid.lengths(600.0, 86_400.0, 10.0, grid.points / 2.0), grid.uniform(0.5, 1.5))
    table = torch.where(grid.uniform(0.0, 1.0, 256) < grid.uniform(0.0, 0.3), grid.log_uniform(0.005, 0.9, 256), 0.0)
    table[:, ::2] = 0.0
    fading = torch.where(grid.chance(0.5), grid.log_uniform(0.3, 4.0), torch.zeros_like(table[:, :1]))
    incident = cuts.of_each(table) * torch.exp(-fading * (cuts.age / cuts.length).clamp(0.0, 1.0))
    quiet = torch.where(grid.chance(0.3), torch.zeros_like(table[:, :1]), grid.log_uniform(1e-6, 0.02))
    share = quiet * wander(grid, grid.log_uniform(0.05, 1.0)).exp() + incident
    spiky = grid.chance(0.5).squeeze(1)
    if bool(spiky.any()):
        part = grid.rows(spiky)
        rare, tail = part.log_uniform(5e-4, 0.02), part.uniform(1.2, 2.5)
        share[spiky] += 0.02 * shots(part, rare, tail, part.uniform(0.2, 1.0), part.log_uniform(0.3, 10.0))
    asked = grid.log_uniform(1.0, 1e4) * grid.seconds_per_point
    ratio = (counted(grid, share.clamp(max=0.98) * asked) / asked).clamp(max=1.0)
    unit = torch.where(grid.chance(0.4), torch.full_like(asked, 100.0), torch.ones_like(asked))
    return Drawn(torch.where(grid.chance(0.1), 1.0 - ratio, ratio) * unit)
