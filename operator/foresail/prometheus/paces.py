"""How fast pods served over the window that their CPU is about, so that the two can be held against each other.

Containers' CPU is a mean over a minute, requests are counted by the step of 15 s: while demand quadruples, dividing one
by the other would make pods look four times as able as they are, just when that matters.
"""

from __future__ import annotations

from collections.abc import Mapping


class Paces:
    """The last rates of every pod, one for each step."""

    def __init__(self) -> None:
        self._rates: dict[int, Mapping[str, float | None]] = {}

    def note(self, step: int, rates_rps: Mapping[str, float | None], steps: int) -> None:
        """What pods served at this step; no more than `steps` are kept."""
        self._rates = {past: rates for past, rates in self._rates.items() if step - steps < past < step}
        self._rates[step] = rates_rps

    def mean_rps(self, pod: str, steps: int) -> float | None:
        """Over the last so many steps; None while one of them is unknown."""
        newest = max(self._rates, default=0)
        known = [self._rates.get(step, {}).get(pod) for step in range(newest + 1 - steps, newest + 1)]
        rates = [rate for rate in known if rate is not None]
        return sum(rates) / steps if len(rates) == steps else None
