"""How much optional content the pages carry, so that they stay quick when there is more to do than can be done.

A brownout dimmer after Klein et al., "Brownout: building more robust cloud applications" (ICSE 2014): a control loop
lowers the share of optional content until the measured response time is what it should be.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from demo_shop.gateway.brownout import BrownoutCeiling


class Part(StrEnum):
    """Optional content, in the order in which it goes."""

    IMAGES = "images"
    RECOMMENDATIONS = "recommendations"
    DYNAMIC_PRICING = "dynamic_pricing"


@dataclass(frozen=True, slots=True)
class OptionalParts:
    """What one answer carries beside the necessary. A later part of the order never goes before an earlier one."""

    images: bool
    recommendations: bool
    dynamic_pricing: bool


#: By how many parts are left.
_LEFT = (
    OptionalParts(images=False, recommendations=False, dynamic_pricing=False),
    OptionalParts(images=False, recommendations=False, dynamic_pricing=True),
    OptionalParts(images=False, recommendations=True, dynamic_pricing=True),
    OptionalParts(images=True, recommendations=True, dynamic_pricing=True),
)


@dataclass(frozen=True, slots=True)
class Gains:
    """How strongly the level answers the error: at once, and per second that it lasts."""

    proportional: float
    integral_per_s: float


@dataclass(frozen=True, slots=True)
class DimmerSettings:
    """When pages count as too slow, and how fast the dimmer answers.

    The gains were found on simulated queues (1 and 4 servers, 20 to 400 requests a second, twice what they bear): slow
    pages are answered within about 5 s, the way back takes about 8 s, and nothing swings where arrivals are even.
    """

    latency_s: float = 0.25  # p95 that pages should keep
    lag_s: float = 0.05  # of the event loop: what every request waits before anything is done for it
    lag_weight: float = 0.3  # of the newest lag in their moving mean: one long pause is no overload
    aim: float = 0.8  # share of both that is aimed at, so that what swings about the aim stays within the bound
    window_s: float = 1.0  # answers that the p95 is taken of
    longest_window_s: float = 5.0  # where pages are few
    least_answers: int = 20  # fewer tell no p95: one slow page would be it
    most_answers: int = 64  # where pages are many, a shorter window tells as much and sooner
    too_slow: Gains = Gains(0.3, 0.15)
    quick: Gains = Gains(0.1, 0.08)  # going up is a trial, and a wrong one costs everybody: gently
    most_step_s: float = 1.0  # a pause longer than this counts as no longer: nothing was measured in it


class Dimmer:
    """The share of optional content: `inner` by what is measured, `level` after the operator's ceiling."""

    def __init__(self, ceiling: BrownoutCeiling | None = None, settings: DimmerSettings | None = None) -> None:
        self.settings = settings or DimmerSettings()
        self.ceiling = ceiling or BrownoutCeiling()
        self.inner = 1.0
        self.level = 1.0
        self.degraded: dict[Part, int] = dict.fromkeys(Part, 0)
        self._answers: deque[tuple[float, float]] = deque(maxlen=self.settings.most_answers)
        self._integral = 1.0
        self._at_s: float | None = None
        self._lag_s = 0.0

    def observe(self, latency_s: float, now_s: float) -> None:
        """A page was answered `latency_s` after its request came."""
        self._answers.append((now_s, latency_s))

    def p95_s(self, now_s: float) -> float | None:
        """Of the answers in the window, or of as many as it takes in the longest one; None: there are too few."""
        settings, answers = self.settings, self._answers
        while answers and _left(answers, now_s, settings):
            answers.popleft()
        if len(answers) < settings.least_answers:
            return None
        latencies = sorted(latency_s for _, latency_s in answers)
        return latencies[math.ceil(0.95 * len(latencies)) - 1]

    def adjust(self, lag_s: float, now_s: float) -> float:
        """The level from now on. To be called every 0.1 to 1 s with the event loop's lag.

        A PI controller on the logarithm of "should be ÷ is": twice too slow weighs as much as twice too quick, and a
        latency of minutes no more than one of a second. The integral stays within what the level can be, so it has
        nothing to unwind when the load falls.
        """
        settings = self.settings
        step_s = 0.0 if self._at_s is None else min(now_s - self._at_s, settings.most_step_s)
        self._at_s = now_s
        self._lag_s += settings.lag_weight * (lag_s - self._lag_s)
        error = min(
            _headroom(settings.aim * settings.lag_s, self._lag_s),
            _headroom(settings.aim * settings.latency_s, self.p95_s(now_s)),
        )
        gains = settings.too_slow if error < 0.0 else settings.quick
        at_once = gains.proportional * error
        integral = self._integral + gains.integral_per_s * error * step_s
        self._integral = max(0.0, min(1.0 - max(0.0, at_once), integral))
        self.inner = _share(self._integral + at_once)
        return self.obey(now_s)

    def obey(self, now_s: float) -> float:
        """The level from now on, the ceiling having changed."""
        self.level = self.effective(now_s)
        return self.level

    def effective(self, now_s: float) -> float:
        """The lower of what the dimmer would serve and what the operator allows."""
        return min(self.inner, self.ceiling.value(now_s))

    def serves_optional(self, rng: random.Random) -> OptionalParts:
        """What the answer to one request carries. Images go first, then recommendations, dynamic pricing last."""
        if self.level >= 1.0:
            return _LEFT[-1]
        return _LEFT[int(len(Part) * self.level + rng.random())]

    def count_degraded(self, part: Part) -> None:
        """An answer goes out without `part`, because it was dimmed or because its service failed."""
        self.degraded[part] += 1


def _left(answers: deque[tuple[float, float]], now_s: float, settings: DimmerSettings) -> bool:
    """Whether the oldest answer counts no more."""
    age_s = now_s - answers[0][0]
    return age_s > settings.longest_window_s or (age_s > settings.window_s and len(answers) > settings.least_answers)


def _headroom(should_be: float, is_now: float | None) -> float:
    """From -1 (e times too slow, or more) over 0 (as it should be) to 1; a measure that is not known is no worry."""
    if is_now is None or is_now <= 0.0:
        return 1.0
    return max(-1.0, min(1.0, math.log(should_be / is_now)))


def _share(value: float) -> float:
    return max(0.0, min(1.0, value))
