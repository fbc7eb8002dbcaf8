"""One parameter, measured: what came out, from how much, and whether the topology takes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """A value with its 95 % interval. None: there were too few samples to say one."""

    value: float | None
    low: float | None
    high: float | None
    samples: int

    @property
    def wide(self) -> bool:
        """The interval reaches further than half the value, either way, or there is none."""
        if self.value is None or self.low is None or self.high is None:
            return True
        return max(self.high - self.value, self.value - self.low) > abs(self.value) / 2.0

    def scaled(self, factor: float) -> Measured:
        """The same in another unit."""
        value, low, high = (None if one is None else one * factor for one in (self.value, self.low, self.high))
        return Measured(value, low, high, self.samples)


UNKNOWN = Measured(None, None, None, 0)


@dataclass(frozen=True, slots=True)
class Fit:
    """A parameter by its place in the topology file.

    `left` says why the topology keeps what it had; empty: the measured value stands in it now. `told`: for information,
    the topology has no such parameter or another one contains it; `before` is then what it implies, if anything.
    """

    parameter: str
    unit: str
    before: float | None
    measured: Measured
    how: str
    left: str = ""
    told: bool = False

    @property
    def used(self) -> bool:
        return not self.left and not self.told
