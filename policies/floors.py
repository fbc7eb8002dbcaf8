"""The life of one workload's floor: who wrote what stands there, when it ends, and how fast it may come down."""

from __future__ import annotations

from dataclasses import dataclass, replace

from policies.model import ScalingPolicy, WorkloadSeen

SETTLE_S = 10.0  # a write younger than this may not be visible yet
CONTEST_WINDOW_S = 600.0
CONTEST_CHANGES = 2
CONTEST_HOLD_S = 3600.0  # how long somebody else's repeated change is left alone
LONGEST_GAP_S = 60.0  # a longer silence counts as this much time, so that no gap ends in a cliff
LONGEST_REVERT_S = 3600.0  # an expired floor that has not come back by then is somebody's own value
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class FloorState:
    """What we wrote and still stands (`written`), and the value before us (`original`) until it is back."""

    written: int | None = None
    written_at_s: float = 0.0
    expires_at_s: float = 0.0
    original: int | None = None
    foreign_at_s: tuple[float, ...] = ()
    contested_until_s: float | None = None
    descent: float = 0.0  # pods that the pace allows by now, not yet taken
    paced_at_s: float | None = None  # last look of a descent under way
    extra_pod_hours: float = 0.0  # added by floors today
    day: int = 0
    insisted: int | None = None  # what we had written when somebody replaced it once too often


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a floor may lie. `base` is what stands without us: at it a floor is released, not renewed."""

    base: int
    least: int
    most: int


def standing(seen: WorkloadSeen) -> int:
    """The number that our writes change: minReplicas, without an HPA the replicas themselves."""
    return seen.replicas if seen.hpa_min is None else seen.hpa_min


def looked(state: FloorState, seen: WorkloadSeen, elapsed_s: float, now_s: float) -> FloorState:
    """The state after one look: expiries, other people's changes and pod-hours accounted for."""
    found = standing(seen)
    if state.contested_until_s is not None and found == state.insisted:
        # They wrote what we had: nobody insists on anything else any more.
        state = replace(state, foreign_at_s=(), contested_until_s=None, insisted=None)
    if state.written is None:
        back = found == state.original or now_s - state.expires_at_s > LONGEST_REVERT_S
        return replace(state, original=None) if state.original is not None and back else state
    state = _accounted(state, seen, elapsed_s, now_s)
    if now_s >= state.expires_at_s:
        return replace(state, written=None, original=None if found == state.original else state.original)
    if found != state.written and now_s - state.written_at_s >= SETTLE_S:
        return _taken_over(state, found, now_s)
    return state


def recorded(state: FloorState, value: int, expires_at_s: float, found: int, now_s: float) -> FloorState:
    """The state after `value` was written over `found`."""
    original = found if state.original is None else state.original
    return replace(state, written=value, written_at_s=now_s, expires_at_s=expires_at_s, original=original)


def bounds(state: FloorState, seen: WorkloadSeen, policy: ScalingPolicy) -> Bounds:
    """Ceilings win over floors: a floor above maxReplicas would be refused by the API."""
    base = standing(seen) if state.original is None else state.original
    most = policy.max_replicas if seen.hpa_max is None else min(policy.max_replicas, seen.hpa_max)
    least = max(policy.min_replicas, base)
    if seen.hpa_min is None:
        # Without an HPA nobody scales back up: only a declared safe number lets us go below what people run.
        least = max(policy.min_replicas, base if policy.safe_replicas is None else policy.safe_replicas)
    return Bounds(base=base, least=min(least, most), most=most)


def paced(state: FloorState, current: int, want: int, policy: ScalingPolicy, now_s: float) -> tuple[int, FloorState]:
    """`want`, or as far down towards it as the pace allows. A descent begins with nothing in hand."""
    if want >= current:
        return want, state if state.paced_at_s is None else replace(state, descent=0.0, paced_at_s=None)
    per_min = max(policy.descend_pods_per_min, policy.descend_ratio_per_min * current)
    elapsed_s = 0.0 if state.paced_at_s is None else min(LONGEST_GAP_S, max(0.0, now_s - state.paced_at_s))
    allowed = min(per_min, state.descent + per_min * elapsed_s / 60.0)
    taken = min(int(allowed + 1e-9), current - want)
    return current - taken, replace(state, descent=allowed - taken, paced_at_s=now_s)


def must_write(state: FloorState, value: int, limits: Bounds, seen: WorkloadSeen, ttl_s: float, now_s: float) -> bool:
    """Whether `value` has to be written now: it changed, or it would expire and is still needed."""
    if state.written is None:
        return value > limits.base if seen.hpa_min is not None else value != seen.replicas
    if value != state.written:
        return True
    return value != limits.base and state.expires_at_s - now_s <= 0.5 * ttl_s


def _accounted(state: FloorState, seen: WorkloadSeen, elapsed_s: float, now_s: float) -> FloorState:
    """Pod-hours that the floor added today. Where the HPA wants more than the floor, the floor adds nothing."""
    day = int(now_s // DAY_S)
    spent = state.extra_pod_hours if day == state.day else 0.0
    if state.written is not None and state.original is not None and seen.replicas <= state.written:
        spent += max(0, state.written - state.original) * min(LONGEST_GAP_S, elapsed_s) / 3600.0
    if spent == state.extra_pod_hours and day == state.day:
        return state
    return replace(state, extra_pod_hours=spent, day=day)


def _taken_over(state: FloorState, found: int, now_s: float) -> FloorState:
    """Somebody replaced our value: theirs is the new original, and the second time in a row we leave it to them."""
    recent = (*(at_s for at_s in state.foreign_at_s if now_s - at_s < CONTEST_WINDOW_S), now_s)
    contested = len(recent) >= CONTEST_CHANGES
    return replace(
        state,
        written=None,
        original=None,
        foreign_at_s=recent,
        contested_until_s=now_s + CONTEST_HOLD_S if contested else state.contested_until_s,
        insisted=state.written if contested else state.insisted,
    )
