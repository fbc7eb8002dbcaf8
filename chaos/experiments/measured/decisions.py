"""The operator's decisions, read from what it tells at /decisions, as the values that the core made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from chaos.experiments.problems import FolderInvalid
from policies import decision as told
from policies.decision import Action, Decision, Reason, ReasonCode
from policies.model import Mode
from simulation.result import Act, Refusal

ACTIONS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        told.SetFloor,
        told.SetScale,
        told.SetTraffic,
        told.DetachPod,
        told.ReattachPod,
        told.EvictPod,
        told.ShiftZone,
        told.RestoreZone,
        told.SwitchOver,
        told.SetBrownout,
        told.SetWeights,
    )
}
#: Fields of actions that name workloads, and those that are moments.
_WORKLOADS = frozenset({"workload", "workloads"})
_MOMENTS = frozenset({"expires_at_s"})


@dataclass(frozen=True, slots=True)
class Told:
    """The decisions of a run in order of time, seconds of the scenario, and what the cluster did not take."""

    decisions: tuple[Decision, ...]
    refusals: frozenset[Refusal]


def told_decisions(lines: Iterable[Mapping[str, Any]], zero_s: float, name_of: Callable[[str], str]) -> Told:
    """`lines` are objects of /decisions, each decision as often as it was seen; `name_of` turns a live workload
    (`shop/shop-gateway`) into the topology's service. Vetoes are left out: they are told as sentences.

    Raises `FolderInvalid` for lines of an operator that does not tell the values of its actions.
    """
    decisions: dict[str, Decision] = {}
    refused: set[Refusal] = set()
    for line in lines:
        try:
            made = _decision(line, zero_s, name_of)
        except (KeyError, TypeError, ValueError) as error:
            raise FolderInvalid(f"decision {line.get('id', '?')}: not as this version tells it: {error!r}") from error
        decisions[made.id] = made
        refused |= {(made.id, str(a["kind"])) for a in line.get("actions", ()) if a.get("done") is False}
    return Told(tuple(sorted(decisions.values(), key=lambda d: (d.at_s, d.id))), frozenset(refused))


def acts_of(known: Told) -> tuple[Act, ...]:
    """What was done that changed something: renewals and refused actions are no acts."""
    acts: list[Act] = []
    state: dict[tuple[str, str], object] = {}
    detached: set[str] = set()
    for made in known.decisions:
        for action in made.actions:
            kind = type(action).__name__
            target, value, disruptive = _changed(action, detached)
            if (made.id, kind) in known.refusals or state.get((kind, target)) == value:
                continue
            state[kind, target] = value
            acts.append(Act(made.at_s, made.workload, kind, target, disruptive, made.id))
            if isinstance(action, told.DetachPod):
                detached.add(action.pod)
            elif isinstance(action, told.RestoreZone):
                state.pop(("ShiftZone", action.zone), None)
            elif isinstance(action, told.ShiftZone):
                state.pop(("RestoreZone", action.zone), None)
    return tuple(acts)


def _changed(action: Action, detached: set[str]) -> tuple[str, object, bool]:
    """Whom an action is about, what it makes of it, and whether that disturbs anybody."""
    match action:
        case told.SetFloor(workload=workload, floor=value) | told.SetScale(workload=workload, replicas=value):
            return workload, value, False
        case told.SetTraffic(pod=pod, on=on):
            # The drain of a pod that is being replaced is part of the replacement, not an act of its own.
            return pod, on, not on and pod not in detached
        case told.DetachPod(pod=pod):
            return pod, True, True
        case told.ReattachPod(pod=pod) | told.EvictPod(pod=pod):
            return pod, True, False
        case told.ShiftZone(zone=zone):
            return zone, True, True
        case told.RestoreZone(zone=zone):
            return zone, True, False
        case told.SwitchOver(candidate=candidate):
            return candidate, action, True
        case told.SetBrownout(workload=workload, ceiling=ceiling):
            return workload, ceiling, ceiling < 1.0
        case told.SetWeights(workload=workload, weights=weights):
            return workload, tuple(sorted(weights.items())), False


def _decision(line: Mapping[str, Any], zero_s: float, name_of: Callable[[str], str]) -> Decision:
    return Decision(
        id=str(line["id"]),
        at_s=datetime.fromisoformat(str(line["at"])).timestamp() - zero_s,
        workload=name_of(str(line["workload"])),
        mode=Mode(line["mode"]),
        actions=tuple(_action(a, zero_s, name_of) for a in line.get("actions", ())),
        reasons=tuple(_reason(r, zero_s, name_of) for r in line.get("reasons", ())),
        withheld=tuple(_action(a, zero_s, name_of) for a in line.get("withheld", ())),
        confidence=line.get("confidence"),
        model=line.get("model"),
        fast=line.get("lane") == "fast",
    )


def _action(raw: Mapping[str, Any], zero_s: float, name_of: Callable[[str], str]) -> Action:
    kind = ACTIONS[raw["kind"]]
    values = dict(raw["values"])
    for field in fields(kind):
        value = values.get(field.name)
        if field.name in _MOMENTS and value is not None:
            values[field.name] = float(value) - zero_s
        elif field.name in _WORKLOADS and value is not None:
            values[field.name] = name_of(value) if isinstance(value, str) else tuple(map(name_of, value))
    action: Action = kind(**values)
    return action


def _reason(raw: Mapping[str, Any], zero_s: float, name_of: Callable[[str], str]) -> Reason:
    facts: dict[str, float | str] = {}
    for key, value in raw.get("facts", {}).items():
        if value is None:
            continue
        if isinstance(value, str):
            facts[key] = name_of(value) if "/" in value else value
        else:
            moment = key in ("at_s", "until_s") or key.endswith("_at_s")
            facts[key] = float(value) - (zero_s if moment else 0.0)
    return Reason(ReasonCode(raw["code"]), facts)
