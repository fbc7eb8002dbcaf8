"""The best an arm can do at each cost: its points that no other of its points beats, joined by lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of an arm: what it cost and what clients suffered, means over runs."""

    pod_hours: float
    harm: float  # downtime in seconds, or bad requests


@dataclass(frozen=True, slots=True)
class Frontier:
    """Points by rising cost and falling harm."""

    points: tuple[Point, ...]

    def harm_at(self, pod_hours: float) -> float | None:
        """The least harm at a cost. None below the cheapest point: the arm cannot be had for that; beyond the dearest,
        more money buys nothing."""
        if not self.points or pod_hours < self.points[0].pod_hours:
            return None
        return float(np.interp(pod_hours, [p.pod_hours for p in self.points], [p.harm for p in self.points]))

    def pod_hours_at(self, harm: float) -> float | None:
        """The least cost at which the harm is no more than `harm`; None when the arm never gets there."""
        if not self.points or harm < self.points[-1].harm:
            return None
        rising = self.points[::-1]
        return float(np.interp(harm, [p.harm for p in rising], [p.pod_hours for p in rising]))


def frontier(points: Sequence[Point]) -> Frontier:
    """Those points that cost less than every point with as little harm."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.pod_hours, p.harm)):
        if not kept or point.harm < kept[-1].harm:
            kept.append(point)
    return Frontier(tuple(kept))


def cost_ratio(left: Frontier, right: Frontier, grid: int = 25) -> float | None:
    """Pod-hours of left ÷ right at equal harm, averaged over the harms that both reach. None when there are none."""
    if not left.points or not right.points:
        return None
    low = max(left.points[-1].harm, right.points[-1].harm)
    high = min(left.points[0].harm, right.points[0].harm)
    if high < low:
        return None
    ratios = []
    for harm in np.linspace(low, high, grid):
        ours, theirs = left.pod_hours_at(float(harm)), right.pod_hours_at(float(harm))
        if ours is not None and theirs:
            ratios.append(ours / theirs)
    return float(np.mean(ratios)) if ratios else None
