"""Forecasts that have been wrong lower the mode of the disruptive acts that rest on them.

Trust is lost and regained per series, workload demand or failure signal, at different marks, so that it does not come
and go with every outcome. Without it disruptive acts are recommended, not done; floors and the fast lane go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from forecasting.forecast import Forecast
from policies.deciding import Reasons
from policies.decision import Proposal, Reason, ReasonCode, Veto
from policies.model import Mode, Observation, PolicySet, SignalTarget


@dataclass(frozen=True, slots=True)
class Mark:
    """Trust is lost below `least` and comes back at `enough`."""

    least: float
    enough: float


#: All acts that need trust fear that something rises too high. What rose higher than forecast is no ground to doubt
#: that fear (a leak that begins beats every band), so what counts is the share of outcomes that reached the lower end
#: of the 80 % band, nine tenths if all is well. Who does not measure that is judged by both bands: a nominal 80 % band
#: that holds only half of what came is no ground for taking pods out, nor is a 98 % band that misses every seventh
#: outcome. Skill is the better of two, so it fails only who loses to yesterday and to a straight line, by half of
#: their loss.
MARKS: Mapping[str, Mark] = {
    "reached": Mark(0.65, 0.75),
    "coverage": Mark(0.50, 0.60),
    "coverage98": Mark(0.85, 0.90),
    "skill": Mark(-0.50, -0.30),
}

DEMAND = "demand"
ON_SIGNALS = frozenset({ReasonCode.FAILURE_EXPECTED, ReasonCode.PRIMARY_AT_RISK})
ON_DEMAND = frozenset({ReasonCode.CAPACITY_LATE})


@dataclass(frozen=True, slots=True)
class TrustMemory:
    """Series whose forecasts have lost trust, by name: which of `MARKS` they fail, and how they do now."""

    doubted: Mapping[str, tuple[str, float]] = field(default_factory=dict)


def reviewed(memory: TrustMemory, demand: Forecast | None, signals: Forecast | None) -> TrustMemory:
    """The memory after what these forecasts say of their own past. What is not measured now stays as it was."""
    forecasts = [forecast for forecast in (demand, signals) if forecast is not None]
    known = {name for forecast in forecasts for name in forecast.series}
    doubted = {name: doubt for name, doubt in memory.doubted.items() if len(forecasts) < 2 and name not in known}
    for forecast in forecasts:
        measured = _measured(forecast)
        for row, name in enumerate(forecast.series):
            doubt = _doubt({mark: values[row] for mark, values in measured.items()}, memory.doubted.get(name))
            if doubt is not None:
                doubted[name] = doubt
    return TrustMemory(doubted)


def judge(
    proposals: Sequence[Proposal], seen: Observation, memory: TrustMemory
) -> tuple[tuple[Proposal, ...], tuple[Veto, ...]]:
    """The proposals that may go on to the brakes, and those whose forecast has not earned it."""
    trusted: list[Proposal] = []
    vetoes: list[Veto] = []
    for proposal in proposals:
        doubt = _doubt_about(proposal, seen, memory) if memory.doubted and _needs_trust(proposal) else None
        if doubt is None:
            trusted.append(proposal)
        else:
            vetoes.append(Veto(proposal, doubt))
    return tuple(trusted), tuple(vetoes)


def lowered(seen: Observation, policies: PolicySet, memory: TrustMemory) -> Reasons:
    """What is to be said of each workload with a forecast that is not trusted: which one, and what mode is left."""
    if not memory.doubted:
        return {}
    said: dict[str, list[Reason]] = {}
    for workload, kind, names in _groups(seen, policies):
        doubts = [memory.doubted[name] for name in names if name in memory.doubted]
        if doubts:
            facts: dict[str, float | str] = {"signal": kind, "mode": _left(policies.workloads[workload].mode).value}
            if kind != DEMAND:
                facts |= {"doubted": float(len(doubts)), "forecasts": float(len(names))}
            reason = Reason(ReasonCode.AUTONOMY_LOWERED, {**facts, **_facts(min(doubts))})
            said.setdefault(workload, []).append(reason)
    return {workload: tuple(reasons) for workload, reasons in said.items()}


def _measured(forecast: Forecast) -> Mapping[str, Sequence[float]]:
    """What of `MARKS` each series does, NaN where nobody knows."""
    unknown = np.full(len(forecast.series), np.nan)
    skill = np.fmax(forecast.skill, unknown if forecast.skill_linear is None else forecast.skill_linear)
    if forecast.reached is not None:
        return {"reached": forecast.reached.tolist(), "skill": skill.tolist()}
    return {
        "coverage": forecast.coverage.tolist(),
        "coverage98": (unknown if forecast.coverage98 is None else forecast.coverage98).tolist(),
        "skill": skill.tolist(),
    }


def _doubt(measured: Mapping[str, float], before: tuple[str, float] | None) -> tuple[str, float] | None:
    """The mark that a series fails, and its figure; the one that it failed before binds until that is good enough."""
    if before is not None:
        name, figure = before
        now = measured.get(name, np.nan)
        if not now >= MARKS[name].enough:
            return name, figure if np.isnan(now) else now
    return next(((name, now) for name, now in measured.items() if now < MARKS[name].least), None)


def _needs_trust(proposal: Proposal) -> bool:
    return proposal.disruptive and not proposal.fast


def _doubt_about(proposal: Proposal, seen: Observation, memory: TrustMemory) -> Reason | None:
    for reason in proposal.reasons:
        if reason.code in ON_SIGNALS and seen.signals is not None:
            names = _keys(seen.signals.targets, proposal, reason)
        elif reason.code in ON_DEMAND:
            names = [proposal.workload]
        else:
            continue
        doubts = [memory.doubted[name] for name in names if name in memory.doubted]
        if 2 * len(doubts) > len(names):
            return Reason(ReasonCode.CALIBRATION_POOR, _facts(min(doubts)))
    return None


def _keys(targets: Sequence[SignalTarget], proposal: Proposal, reason: Reason) -> list[str]:
    """The signals that a reason rests on: the kind and member it names, else all of the workload."""
    kind, member = reason.facts.get("signal"), reason.facts.get("pod", reason.facts.get("member"))
    own = [target for target in targets if target.workload == proposal.workload]
    exact = [
        target
        for target in own
        if kind in (target.kind.value, target.key) and (member is None or member == target.member)
    ]
    return [target.key for target in exact or own]


def _groups(seen: Observation, policies: PolicySet) -> Iterator[tuple[str, str, list[str]]]:
    """Workload, kind of forecast and the names of its series: demand first, then the failure signals by kind."""
    for workload in policies.workloads:
        yield workload, DEMAND, [workload]
    kinds: dict[tuple[str, str], list[str]] = {}
    for target in () if seen.signals is None else seen.signals.targets:
        if target.workload in policies.workloads:
            kinds.setdefault((target.workload, target.kind.value), []).append(target.key)
    for (workload, kind), names in kinds.items():
        yield workload, kind, names


def _left(mode: Mode) -> Mode:
    return Mode.RECOMMEND if mode is Mode.ENFORCE else mode


def _facts(doubt: tuple[str, float]) -> dict[str, float | str]:
    name, figure = doubt
    return {name: figure, "least": MARKS[name].enough}
