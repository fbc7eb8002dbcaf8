"""Who holds a workload's token: the one disruptive act that may run on it, until it is seen to have ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from policies.acts import dims, is_disruptive, target_of, workloads_of
from policies.decision import (
    Action,
    DetachPod,
    RestoreZone,
    SetBrownout,
    SetTraffic,
    ShiftZone,
    SwitchOver,
)
from policies.model import FastSeen, Observation, PodSeen, WorkloadSeen

#: An accepted act whose effect is not seen by then did not happen (refused write, withheld by the mode).
SETTLE_S = 20.0
#: Patroni answers "status unknown" while a switchover still runs; by then it has ended one way or the other.
SWITCHOVER_S = 120.0
REPLACEMENT_S = 600.0
REVERSAL_WINDOW_S = 600.0
CONTESTED_S = 3600.0  # how long a workload is left alone after two reversals within the window


@dataclass(frozen=True, slots=True)
class InFlight:
    """The disruptive act that holds a workload's token."""

    kind: str  # "drain", "replace", "shift" or "switchover"
    target: str  # pod, zone or database
    since_s: float
    until_s: float
    seen: bool = False  # its effect was observed
    undoing: bool = False


@dataclass(frozen=True, slots=True)
class Dimmed:
    """A brownout ceiling that was let through, and by which lane."""

    ceiling: float
    fast: bool
    until_s: float


@dataclass(frozen=True, slots=True)
class GuardrailMemory:
    """What runs, what ran, and who argued with us. All but `asked_off_s` (`workload/pod`) is keyed by workload."""

    in_flight: Mapping[str, InFlight] = field(default_factory=dict)
    dimmed: Mapping[str, Dimmed] = field(default_factory=dict)
    last_act_s: Mapping[str, float] = field(default_factory=dict)
    acts_at_s: tuple[float, ...] = ()  # all workloads together, for the storm brake
    asked_off_s: Mapping[str, float] = field(default_factory=dict)  # not yet seen, yet counted as out of rotation
    reversals_at_s: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def workloads_by_name(context: Observation | FastSeen) -> Mapping[str, WorkloadSeen]:
    """The workloads of either kind of look at the cluster."""
    if isinstance(context, FastSeen):
        return context.workloads
    return {workload.name: workload for workload in context.workloads}


def pod_named(workload: WorkloadSeen, pod: str) -> PodSeen | None:
    """One pod of a workload, None when it is gone."""
    return next((candidate for candidate in workload.pods if candidate.name == pod), None)


def is_contested(memory: GuardrailMemory, workload: str, now_s: float) -> bool:
    """Whether others undid our acts on a workload twice within ten minutes, less than an hour ago."""
    recent = [at_s for at_s in memory.reversals_at_s.get(workload, ()) if now_s - at_s <= CONTESTED_S]
    return any(later - earlier <= REVERSAL_WINDOW_S for earlier, later in pairwise(recent))


def continues(action: Action, workload: str, memory: GuardrailMemory) -> bool:
    """Whether this is the next step, or a renewal, of the act that runs on the workload."""
    if dims(action):
        return workload in memory.dimmed
    act = memory.in_flight.get(workload)
    return act is not None and act.target == target_of(action)


def settled(memory: GuardrailMemory, context: Observation | FastSeen, now_s: float) -> GuardrailMemory:
    """Memory after a new look: acts that expired, whose effect is gone or never came have ended."""
    workloads = workloads_by_name(context) if memory.in_flight else {}
    stale = isinstance(context, Observation) and not context.api_ok
    held: dict[str, InFlight] = {}
    reversals = dict(memory.reversals_at_s)
    for name, act in memory.in_flight.items():
        if now_s >= act.until_s:
            continue
        workload = workloads.get(name)
        stands = None if stale else _stands(act, workload, context, now_s)
        if stands is not False:
            held[name] = replace(act, seen=act.seen or stands is True)
        elif act.seen and not act.undoing and workload is not None and pod_named(workload, act.target) is not None:
            reversals[name] = (*reversals.get(name, ())[-3:], now_s)
    return replace(
        memory,
        in_flight=held,
        dimmed={name: dimmed for name, dimmed in memory.dimmed.items() if now_s < dimmed.until_s},
        asked_off_s={key: at_s for key, at_s in memory.asked_off_s.items() if now_s - at_s <= SETTLE_S},
        reversals_at_s=reversals,
    )


def _stands(act: InFlight, workload: WorkloadSeen | None, context: Observation | FastSeen, now_s: float) -> bool | None:
    """Whether the act's effect is there; None while that cannot be told."""
    missing = None if not act.seen and now_s - act.since_s <= SETTLE_S else False
    if act.kind == "switchover":
        return any(seen.switching for seen in context.databases if seen.name == act.target) or missing
    if workload is None or act.kind == "shift":
        return None  # a shift lasts until its expiry or its restore
    pod = pod_named(workload, act.target)
    if pod is None:
        return False
    effect = not pod.traffic_on if act.kind == "drain" else pod.detached
    return effect or missing


def after_undo(memory: GuardrailMemory, action: Action) -> GuardrailMemory:
    """Memory after an undo was let through: the holder is marked, and ends when its effect is seen gone."""
    names, target = workloads_of(action), target_of(action)
    held: dict[str, InFlight] = {}
    for name, act in memory.in_flight.items():
        ours = name in names and act.target == target
        if not (ours and isinstance(action, RestoreZone)):
            held[name] = replace(act, undoing=True) if ours else act
    dimmed = memory.dimmed
    if isinstance(action, SetBrownout):
        dimmed = {name: dim for name, dim in dimmed.items() if name != action.workload}
    key = f"{action.workload}/{action.pod}" if isinstance(action, SetTraffic) else None
    asked = {name: at_s for name, at_s in memory.asked_off_s.items() if name != key}
    return replace(memory, in_flight=held, dimmed=dimmed, asked_off_s=asked)


def after_act(
    memory: GuardrailMemory, action: Action, fast: bool, token: bool, counted: bool, now_s: float
) -> GuardrailMemory:
    """Memory after a disruptive act was let through.

    `token`: it holds one, and others on the workload wait a while after it; `counted`: it feeds the storm brake.
    """
    names = workloads_of(action)
    held, dimmed = dict(memory.in_flight), dict(memory.dimmed)
    asked, last, acts = dict(memory.asked_off_s), dict(memory.last_act_s), memory.acts_at_s
    if not continues(action, names[0], memory):
        acts = (*acts[-499:], now_s) if counted else acts
        if token:
            last.update(dict.fromkeys(names, now_s))
    if isinstance(action, SetBrownout):
        dimmed[action.workload] = Dimmed(action.ceiling, fast, action.expires_at_s)
    elif token:
        held.update({name: _holding(action, held.get(name), now_s) for name in names})
    if isinstance(action, SetTraffic):
        asked.setdefault(f"{action.workload}/{action.pod}", now_s)
    return replace(memory, in_flight=held, dimmed=dimmed, asked_off_s=asked, last_act_s=last, acts_at_s=acts)


def _holding(action: Action, before: InFlight | None, now_s: float) -> InFlight:
    """The token as it is held after a disruptive act was let through."""
    if before is not None and before.target == target_of(action):
        renewed_s = action.expires_at_s if isinstance(action, SetTraffic | ShiftZone) else None
        return replace(before, until_s=max(before.until_s, renewed_s or 0.0), undoing=False)
    match action:
        case SwitchOver():
            return InFlight("switchover", action.database, now_s, now_s + SWITCHOVER_S)
        case ShiftZone():
            return InFlight("shift", action.zone, now_s, action.expires_at_s)
        case SetTraffic():
            return InFlight("drain", action.pod, now_s, action.expires_at_s or now_s + REPLACEMENT_S)
        case DetachPod():
            return InFlight("replace", action.pod, now_s, action.expires_at_s)
        case _:
            return InFlight("replace", target_of(action), now_s, now_s + REPLACEMENT_S)


def withdraw(memory: GuardrailMemory, action: Action) -> GuardrailMemory:
    """Memory after a disruptive act that was let through was not carried out (write refused, or withheld later)."""
    if not is_disruptive(action):
        return memory
    names, target = workloads_of(action), target_of(action)
    held = {
        name: act for name, act in memory.in_flight.items() if name not in names or act.target != target or act.seen
    }
    gone = [name for name in names if name in memory.in_flight and name not in held]
    times = {memory.last_act_s[name] for name in gone if name in memory.last_act_s}
    key = f"{action.workload}/{action.pod}" if isinstance(action, SetTraffic) else None
    return replace(
        memory,
        in_flight=held,
        dimmed={name: dim for name, dim in memory.dimmed.items() if name not in names or not dims(action)},
        last_act_s={name: at_s for name, at_s in memory.last_act_s.items() if name not in gone},
        acts_at_s=tuple(at_s for at_s in memory.acts_at_s if at_s not in times),
        asked_off_s={name: at_s for name, at_s in memory.asked_off_s.items() if name != key},
    )
