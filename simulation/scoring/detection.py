"""When an arm first acted on what was really wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policies.decision import (
    Action,
    Decision,
    DetachPod,
    EvictPod,
    SetBrownout,
    SetFloor,
    SetScale,
    SetTraffic,
    SetWeights,
    ShiftZone,
    SwitchOver,
)
from simulation.result import FaultTruth, RunResult
from simulation.scenario import CROWDS, Scenario

#: How long before an announced crowd a decision still is about it: the demand forecast's horizon, 64 steps of 15 s.
ANNOUNCED_LEAD_S = 960.0

#: How long after its end a fault still explains an outage or an act: back-off, draining queues, undone replacements.
GRACE_S = 300.0


#: Faults that are nothing but demand.


def window_s(fault: FaultTruth, scenario: Scenario) -> tuple[float, float]:
    """When an act can be about this fault: from its start (an announced crowd: from the horizon before) until a grace
    after its end."""
    announced = 0 <= fault.index < len(scenario.faults) and scenario.faults[fault.index].announced
    lead_s = ANNOUNCED_LEAD_S if announced else 0.0
    return fault.start_s - lead_s, fault.end_s + GRACE_S


def first_decision_s(fault: FaultTruth, result: RunResult, first_harm_s: float | None) -> float | None:
    """The first decision on a true target of the fault, None when there is none.

    A decision counts when it does something new about the target: takes a pod, zone or database out of duty, dims or
    reweights; renewals, descents and undos do not. What the mode withheld counts: it was decided. Asking for more pods
    (a floor, an autoscaler's resize) is routine: it is about a crowd whenever it comes, about any other fault only
    once that does harm. Nothing that was decided in the warm-up counts.
    """
    opens_s, closes_s = window_s(fault, result.scenario)
    opens_s = max(opens_s, 0.0)
    routine_from_s = opens_s if fault.kind in CROWDS else closes_s if first_harm_s is None else first_harm_s
    times = [
        at_s
        for at_s, names, routine in (*_decided(result), *_resized(result))
        if (routine_from_s if routine else opens_s) <= at_s < closes_s
        and (not fault.targets or names & set(fault.targets))
    ]
    return min(times, default=None)


def _decided(result: RunResult) -> Iterator[tuple[float, set[str], bool]]:
    services = result.scenario.topology.services
    floors = {service.name: service.hpa.min_replicas for service in services if service.hpa is not None}
    for decision in sorted(result.decisions, key=lambda d: d.at_s):
        for action in (*decision.actions, *decision.withheld):
            if _does_something_new(action, floors):
                yield decision.at_s, _names(decision, action), isinstance(action, SetFloor | SetScale)
            if isinstance(action, SetFloor):
                floors[_service(action.workload)] = action.floor
            elif isinstance(action, SetScale):
                floors[_service(action.workload)] = action.replicas


def _resized(result: RunResult) -> Iterator[tuple[float, set[str], bool]]:
    for resize in result.resizes:
        if resize.by in ("hpa", "peer") and resize.after > resize.before:
            yield resize.at_s, {resize.service}, True


def _does_something_new(action: Action, floors: Mapping[str, int]) -> bool:
    match action:
        case SetFloor(workload=workload, floor=replicas) | SetScale(workload=workload, replicas=replicas):
            return replicas > floors.get(_service(workload), replicas)
        case SetTraffic(on=on):
            return not on
        case SetBrownout(ceiling=ceiling):
            return ceiling < 1.0
        case SetWeights(weights=weights):
            return len(set(weights.values()) | {1.0}) > 1
        case DetachPod() | EvictPod() | ShiftZone() | SwitchOver():
            return True
        case _:
            return False


def _names(decision: Decision, action: Action) -> set[str]:
    """Everything that the action touches, by the names that faults use: workloads without their namespace."""
    names = {_service(decision.workload)}
    match action:
        case SetTraffic(pod=pod) | DetachPod(pod=pod) | EvictPod(pod=pod):
            names.add(pod)
        case ShiftZone(zone=zone, workloads=workloads):
            names |= {zone, *map(_service, workloads)}
        case SwitchOver(database=database, leader=leader):
            names |= {database, leader}
        case SetWeights(weights=weights):
            names |= {pod for pod, weight in weights.items() if weight < 1.0}
        case _:
            pass
    return names


def _service(workload: str) -> str:
    """Faults and topologies know workloads without their namespace."""
    return workload.rpartition("/")[2]
