"""Whether the simulator tells the truth, as far as the runs can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.comparison.table import DOWNTIME_RATIO, DOWNTIME_S, REPLICAS_RATIO, Comparison


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim about the simulator. It holds only when all that could be judged are close and nothing is unknown."""

    claim: str
    close: int
    judged: int
    unknown: int

    @property
    def holds(self) -> bool | None:
        """None: nothing was judged, or what was is close and the rest unknown."""
        if self.close < self.judged:
            return False
        return None if self.unknown or not self.judged else True


def verdicts(comparison: Comparison) -> tuple[Verdict, ...]:
    return (
        _verdict(
            f"downtime within {DOWNTIME_RATIO:.0%} or {DOWNTIME_S:g} s, by scenario and arm",
            [line.downtime_close for line in comparison.arms],
        ),
        _verdict(
            f"replicas of every scaled service within 1 for {REPLICAS_RATIO:.0%} of the time, by scenario and arm",
            [line.replicas_close for line in comparison.arms],
        ),
        _verdict("order of the arms by downtime equal, by scenario", [rank.equal for rank in comparison.ranks]),
    )


def _verdict(claim: str, found: Sequence[bool | None]) -> Verdict:
    judged = [one for one in found if one is not None]
    return Verdict(claim, sum(judged), len(judged), len(found) - len(judged))
