"""Forecasts that have been wrong lower the mode of the disruptive acts that rest on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.forecast import Floats, Forecast
from policies.decision import Proposal, Reason, ReasonCode, Veto
from policies.model import Observation, SignalTarget

#: A nominal 80 % band that holds less than this share of what came is no ground for taking pods out.
LEAST_COVERAGE = 0.5
#: Twice the loss of seasonal naive: the model knows less than yesterday does.
LEAST_SKILL = -1.0

ON_SIGNALS = frozenset({ReasonCode.FAILURE_EXPECTED, ReasonCode.PRIMARY_AT_RISK})
ON_DEMAND = frozenset({ReasonCode.CAPACITY_LATE})


def judge(
    proposals: Sequence[Proposal], seen: Observation, demand: Forecast | None, signals: Forecast | None
) -> tuple[tuple[Proposal, ...], tuple[Veto, ...]]:
    """The proposals that may go on to the brakes, and those whose forecast has not earned it."""
    trusted: list[Proposal] = []
    vetoes: list[Veto] = []
    for proposal in proposals:
        doubt = _doubt(proposal, seen, demand, signals) if proposal.disruptive and not proposal.fast else None
        if doubt is None:
            trusted.append(proposal)
        else:
            vetoes.append(Veto(proposal, doubt))
    return tuple(trusted), tuple(vetoes)


def _doubt(proposal: Proposal, seen: Observation, demand: Forecast | None, signals: Forecast | None) -> Reason | None:
    for reason in proposal.reasons:
        if reason.code in ON_SIGNALS and signals is not None and seen.signals is not None:
            keys = _keys(seen.signals.targets, proposal, reason)
            found = _poor(signals, [row for row, name in enumerate(signals.series) if name in keys])
        elif reason.code in ON_DEMAND and demand is not None:
            found = _poor(demand, [row for row, name in enumerate(demand.series) if name == proposal.workload])
        else:
            found = None
        if found is not None:
            return found
    return None


def _keys(targets: Sequence[SignalTarget], proposal: Proposal, reason: Reason) -> set[str]:
    """The signals that a reason rests on: the kind and member it names, else all of the workload."""
    kind, member = reason.facts.get("signal"), reason.facts.get("pod", reason.facts.get("member"))
    own = [target for target in targets if target.workload == proposal.workload]
    exact = [
        target
        for target in own
        if kind in (target.kind.value, target.key) and (member is None or member == target.member)
    ]
    return {target.key for target in exact or own}


def _poor(forecast: Forecast, rows: Sequence[int]) -> Reason | None:
    coverage, skill = _middle(forecast.coverage, rows), _middle(forecast.skill, rows)
    if coverage is not None and coverage < LEAST_COVERAGE:
        return Reason(ReasonCode.CALIBRATION_POOR, {"coverage": coverage, "least": LEAST_COVERAGE})
    if skill is not None and skill < LEAST_SKILL:
        return Reason(ReasonCode.CALIBRATION_POOR, {"skill": skill, "least": LEAST_SKILL})
    return None


def _middle(values: Floats, rows: Sequence[int]) -> float | None:
    measured = [float(values[row]) for row in rows if np.isfinite(values[row])]
    return float(np.median(measured)) if measured else None
