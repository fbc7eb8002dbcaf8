"""Values of Foresail that stand in place of others' on workloads: minReplicas of an HPA, or replicas without one.

Each expires. Afterwards it descends to the value before as gently as any floor does: an HPA forgets its own high
proposals after its window, so an abrupt expiry would be a cliff.
"""

from __future__ import annotations

from math import ceil

#: Floors descend by the larger of these in each minute, in `revert` too.
DESCEND_PODS_PER_MIN = 1
DESCEND_RATIO_PER_MIN = 0.10
_MINUTE_S = 60.0


class StandingValue:
    """One value of ours over the original."""

    def __init__(self, original: int, value: int, expires_at_s: float) -> None:
        self.original = original
        self.value = value
        self.expires_at_s = expires_at_s
        self._next_step_s = expires_at_s

    def renew(self, value: int, expires_at_s: float) -> None:
        self.value = value
        self.expires_at_s = expires_at_s
        self._next_step_s = expires_at_s

    def settle(self, now_s: float) -> bool:
        """Descend one step a minute after the expiry. True: the original stands again."""
        while now_s >= self._next_step_s and self.value != self.original:
            if self.value < self.original:
                self.value = self.original
                break
            step = max(DESCEND_PODS_PER_MIN, ceil(DESCEND_RATIO_PER_MIN * self.value))
            self.value = max(self.original, self.value - step)
            self._next_step_s += _MINUTE_S
        return now_s >= self.expires_at_s and self.value == self.original


class Floors:
    """The minReplicas that stand on HPAs now. A change takes effect at the HPA's next sync."""

    def __init__(self) -> None:
        self._standing: dict[str, StandingValue] = {}

    def minimum(self, service: str, original: int) -> int:
        standing = self._standing.get(service)
        return original if standing is None else standing.value

    def is_raised(self, service: str) -> bool:
        standing = self._standing.get(service)
        return standing is not None and standing.value > standing.original

    def write(self, service: str, original: int, floor: int, expires_at_s: float) -> None:
        if service in self._standing:
            self._standing[service].renew(floor, expires_at_s)
        else:
            self._standing[service] = StandingValue(original, floor, expires_at_s)

    def settle(self, now_s: float) -> None:
        """What `foresail revert --expired` does."""
        for service in [name for name, standing in self._standing.items() if standing.settle(now_s)]:
            del self._standing[service]
