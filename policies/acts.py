"""What kind of thing an action is: an undo, a disruption, an emergency, and what it is done to."""

from __future__ import annotations

from policies.decision import (
    Action,
    DetachPod,
    EvictPod,
    Proposal,
    ReasonCode,
    ReattachPod,
    RestoreZone,
    SetBrownout,
    SetFloor,
    SetScale,
    SetTraffic,
    SetWeights,
    ShiftZone,
    SwitchOver,
)

STRUCTURAL = frozenset({ReasonCode.NODE_DOWN, ReasonCode.ZONE_DOWN})
DEAD = STRUCTURAL | {ReasonCode.PROBES_FAILED}


def is_undo(action: Action) -> bool:
    """Whether an action only takes back what Foresail did."""
    match action:
        case SetTraffic():
            return action.on
        case SetBrownout():
            return action.ceiling >= 1.0
        case SetWeights():
            return all(weight == 1.0 for weight in action.weights.values())
        case ReattachPod() | RestoreZone():
            return True
        case _:
            return False


def is_floor(action: Action) -> bool:
    """Whether an action only sets how many pods there are."""
    return isinstance(action, SetFloor | SetScale)


def is_disruptive(action: Action) -> bool:
    """Whether an action takes something away from users or from the cluster's spare."""
    kinds = SetTraffic | DetachPod | EvictPod | ShiftZone | SwitchOver | SetBrownout
    return isinstance(action, kinds) and not is_undo(action)


def dims(action: Action) -> bool:
    """Whether an action lowers, or holds down, a brownout ceiling."""
    return isinstance(action, SetBrownout) and not is_undo(action)


def workloads_of(action: Action) -> tuple[str, ...]:
    """The workloads an action touches."""
    return action.workloads if isinstance(action, ShiftZone | RestoreZone) else (action.workload,)


def target_of(action: Action) -> str:
    """What an act is done to (pod, zone or database): two steps with the same target belong to one act."""
    match action:
        case ShiftZone() | RestoreZone():
            return action.zone
        case SwitchOver():
            return action.database
        case SetTraffic() | DetachPod() | ReattachPod() | EvictPod():
            return action.pod
        case _:
            return ""


def is_dead(proposal: Proposal) -> bool:
    """Whether the act takes out something that is known to serve nothing."""
    action = proposal.action
    takes_out = isinstance(action, ShiftZone) or (isinstance(action, SetTraffic) and not action.on)
    return proposal.fast and takes_out and any(reason.code in DEAD for reason in proposal.reasons)


def is_structural(proposal: Proposal) -> bool:
    """Whether a whole node or zone is dead, which no overload of one workload can look like."""
    return is_dead(proposal) and any(reason.code in STRUCTURAL for reason in proposal.reasons)


def is_emergency(proposal: Proposal) -> bool:
    """Whether the fast lane has positive evidence that waiting only adds to the harm."""
    return is_dead(proposal) or (proposal.fast and dims(proposal.action))


def urgency(proposal: Proposal) -> tuple[int, float, str]:
    """Sort key: undoing, then floors, then disruptive acts (fast lane first, then by confidence), weights last."""
    action = proposal.action
    if is_undo(action):
        return 0, 0.0, proposal.workload
    if is_floor(action):
        return 1, 0.0, proposal.workload
    if is_disruptive(action):
        return (2 if proposal.fast else 3), -proposal.confidence, proposal.workload
    return 4, 0.0, proposal.workload
