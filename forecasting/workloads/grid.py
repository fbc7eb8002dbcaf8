"""Where and when the points of synthetic series lie, and the random draws that shape them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DAY_S = 86_400.0
WEEK_S = 7.0 * DAY_S
#: Unix time 0 was a Thursday; weeks are counted from Mondays.
_MONDAY_S = 4.0 * DAY_S


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a family drew: values `(series, points)`, and the log of the declared multiplier, None: nothing declared."""

    values: Tensor
    event_log: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """The regular grids of a batch of series, each with its own step and start, and the source of randomness.

    `step_s` and `start_at_s` are `(series,)` float64. Draws of one number per series come as `(series, 1)` float32.
    """

    step_s: Tensor
    start_at_s: Tensor
    points: int
    generator: torch.Generator

    @property
    def series(self) -> int:
        return int(self.step_s.shape[0])

    @property
    def device(self) -> torch.device:
        return self.generator.device

    @property
    def seconds_per_point(self) -> Tensor:
        """`(series, 1)` float32."""
        return self.step_s.float().unsqueeze(1)

    def rows(self, chosen: Tensor) -> Grid:
        """The grids of some series, chosen by index or mask; they go on drawing from the same generator."""
        return Grid(self.step_s[chosen], self.start_at_s[chosen], self.points, self.generator)

    def index(self) -> Tensor:
        """0, 1, 2 … `(points,)` float32."""
        return torch.arange(self.points, device=self.device, dtype=torch.float32)

    def cycles(self, period_s: Tensor) -> Tensor:
        """How many periods have passed at each point, counted from unix time 0 less whole ones, `(series, points)`.

        `period_s` is `(series, 1)`; the start is reduced in float64, since unix times do not fit a float32.
        """
        period = period_s.double()
        first = torch.remainder(self.start_at_s.unsqueeze(1), period) / period
        return first.float() + (self.step_s.unsqueeze(1) / period).float() * self.index()

    def weeks(self, offset_s: Tensor) -> Tensor:
        """How many weeks have passed at each point since a Monday 0:00 of clocks that are `offset_s` ahead of UTC."""
        since = torch.remainder(self.start_at_s.unsqueeze(1) + offset_s.double() - _MONDAY_S, WEEK_S) / WEEK_S
        return since.float() + (self.step_s.unsqueeze(1) / WEEK_S).float() * self.index()

    def uniform(self, low: float, high: float, columns: int = 1) -> Tensor:
        unit = torch.rand(self.series, columns, generator=self.generator, device=self.device)
        return low + (high - low) * unit

    def log_uniform(self, low: float, high: float, columns: int = 1) -> Tensor:
        return self.uniform(math.log(low), math.log(high), columns).exp()

    def normal(self, columns: int = 1) -> Tensor:
        return torch.randn(self.series, columns, generator=self.generator, device=self.device)

    def chance(self, probability: float, columns: int = 1) -> Tensor:
        """True with a probability, `(series, columns)`."""
        return torch.rand(self.series, columns, generator=self.generator, device=self.device) < probability

    def integers(self, low: int, high: int, columns: int = 1) -> Tensor:
        """Whole numbers from `low` to `high - 1`, int64."""
        return torch.randint(low, high, (self.series, columns), generator=self.generator, device=self.device)

    def one_of(self, choices: Sequence[float]) -> Tensor:
        """One of some numbers, each equally likely."""
        table = torch.tensor(choices, dtype=torch.float32, device=self.device)
        return table[self.integers(0, len(choices))]

    def noise(self) -> Tensor:
        """Independent standard normal numbers, `(series, points)`."""
        return self.normal(self.points)

    def unit_noise(self) -> Tensor:
        """Independent numbers from 0 to 1, `(series, points)`."""
        return self.uniform(0.0, 1.0, self.points)

    def lengths(
        self, low_s: float, high_s: float, low_points: float, high_points: float, real_share: float = 0.5
    ) -> Tensor:
        """A duration in points, `(series, 1)`, at least one.

        Some are drawn in real time, as people and machines set them, the rest in points, so that every step length
        sees every regime, from a fraction of a cycle to hundreds of them.
        """
        real = self.log_uniform(low_s, high_s) / self.seconds_per_point
        free = self.log_uniform(low_points, max(high_points, low_points * 1.01))
        return torch.where(self.chance(real_share), real, free).clamp(min=1.0)
