"""How much of the time live and simulated replicas were the same, give or take one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chaos.comparison.pairs import Pair
from forecasting.forecast import Floats

WITHIN = 1


@dataclass(frozen=True, slots=True)
class Agreement:
    """Shares of the seconds that both worlds know, mean over the runs; None: they know none together."""

    service: str
    desired: float | None
    ready: float | None
    known_ratio: float  # of all seconds: live replicas are unknown while the API server does not answer

    @property
    def least(self) -> float | None:
        """The worse of the two; unknown as long as one is."""
        return None if self.desired is None or self.ready is None else min(self.desired, self.ready)


def agreements(services: Sequence[str], pairs: Sequence[Pair]) -> tuple[Agreement, ...]:
    """One per scaled service, in their order."""
    return tuple(
        Agreement(
            service,
            _mean([_share(pair.live.desired[row], pair.simulated.desired[row]) for pair in pairs]),
            _mean([_share(pair.live.ready[row], pair.simulated.ready[row]) for pair in pairs]),
            float(np.mean([np.isfinite(pair.live.ready[row]).mean() for pair in pairs])),
        )
        for row, service in enumerate(services)
    )


def _share(live: Floats, simulated: Floats) -> float | None:
    apart = np.abs(live - simulated)
    known = np.isfinite(apart)
    return float((apart[known] <= WITHIN).mean()) if known.any() else None


def _mean(shares: Sequence[float | None]) -> float | None:
    """Over the runs that can tell."""
    known = [share for share in shares if share is not None]
    return float(np.mean(known)) if known else None
