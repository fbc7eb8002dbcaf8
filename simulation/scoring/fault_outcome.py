"""What each fault did to clients in one run: hurt, averted, or not over when the run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulation.result import Counts, FaultTruth, RunResult
from simulation.scoring.blame import blamed
from simulation.scoring.detection import first_decision_s
from simulation.scoring.downtime import WINDOW_S, Health, Spell, spells


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """One fault in one run. Without a down second of its own it was averted (or hurts nobody: the baseline tells)."""

    index: int
    kind: str
    label: str
    start_s: float
    end_s: float
    predictable: bool
    down_s: int  # down seconds of the outages that are this fault's
    first_harm_s: float | None  # the first bad request of its first outage
    first_down_s: float | None
    recovered_s: float | None  # start of 30 s without a down second; None: averted, or censored by the end of the run
    detected_s: float | None  # first decision on the true target
    masked: bool = False  # began during another fault's outage and has none of its own: nobody can tell

    @property
    def hurt(self) -> bool:
        return self.first_down_s is not None

    @property
    def censored(self) -> bool:
        return self.hurt and self.recovered_s is None

    @property
    def time_to_recover_s(self) -> float | None:
        if self.first_down_s is None or self.recovered_s is None:
            return None
        return self.recovered_s - self.first_down_s


def fault_outcomes(result: RunResult, seen: Health) -> tuple[FaultOutcome, ...]:
    """One per fault of the run. Each outage belongs to at most one fault: see `blame.py`."""
    found = spells(seen)
    own: dict[int, list[Spell]] = {fault.index: [] for fault in result.faults}
    for spell in found:
        fault = blamed(spell, result)
        if fault is not None:
            own[fault.index].append(spell)
    return tuple(
        _outcome(fault, own[fault.index], any(s.start_s < fault.start_s < s.end_s for s in found), result, seen)
        for fault in result.faults
    )


def unblamed_spells(result: RunResult, seen: Health) -> tuple[Spell, ...]:
    """The outages that no fault explains."""
    return tuple(spell for spell in spells(seen) if blamed(spell, result) is None)


def time_to_detect_s(outcomes: Sequence[FaultOutcome], baseline: Sequence[FaultOutcome] = ()) -> float | None:
    """Mean time from first harm to the first decision on the true target; negative when the decision came first.

    A fault that this run averted has no harm of its own: where the baseline run of the same seed was hurt, its harm
    stands in, since that is when it would have come. Faults without harm or without a decision are left out; None when
    that leaves none.
    """
    stand_in: Mapping[int, float | None] = {o.index: o.first_harm_s for o in baseline}
    delays = []
    for outcome in outcomes:
        harm_s = outcome.first_harm_s if outcome.hurt else stand_in.get(outcome.index)
        if harm_s is not None and outcome.detected_s is not None:
            delays.append(outcome.detected_s - harm_s)
    return float(np.mean(delays)) if delays else None


def time_to_recover_s(outcomes: Sequence[FaultOutcome], unblamed: Sequence[Spell] = ()) -> float | None:
    """Mean over the faults that hurt and ended, and over outages that no fault explains (a load that simply rose):
    first down second → start of 30 s without one. None without any."""
    times = [t for o in outcomes if (t := o.time_to_recover_s) is not None]
    times += [float(spell.end_s - spell.start_s) for spell in unblamed if spell.recovered]
    return float(np.mean(times)) if times else None


def _outcome(
    fault: FaultTruth, own: Sequence[Spell], began_in_outage: bool, result: RunResult, seen: Health
) -> FaultOutcome:
    first = own[0] if own else None
    harm_s = _first_bad_s(result.client.bad, first, fault) if first else None
    return FaultOutcome(
        index=fault.index,
        kind=fault.kind,
        label=fault.label,
        start_s=fault.start_s,
        end_s=fault.end_s,
        predictable=fault.predictable,
        down_s=sum(int(seen.down[s.start_s : s.end_s].sum()) for s in own),
        first_harm_s=harm_s,
        first_down_s=float(first.start_s) if first else None,
        recovered_s=float(first.end_s) if first and first.recovered else None,
        detected_s=first_decision_s(fault, result, harm_s),
        masked=began_in_outage and first is None,
    )


def _first_bad_s(bad: Counts, spell: Spell, fault: FaultTruth) -> float:
    """The first bad second among those that made the outage's first second down, not before the fault."""
    earliest = max(spell.start_s - WINDOW_S + 1, int(fault.start_s), 0)
    hits = np.flatnonzero(bad[earliest : spell.start_s + 1])
    return float(earliest + hits[0]) if hits.size else float(spell.start_s)
