"""Whatever happens to a small shop, acts stay safe. A little cluster obeys, refuses and fails at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.forecast import LEVELS, Forecast
from policies import memory, planner
from policies.decision import (
    Action,
    Decision,
    DetachPod,
    EvictPod,
    ReasonCode,
    ReattachPod,
    SetBrownout,
    SetTraffic,
    SetWeights,
    ShiftZone,
)
from policies.memory import Memory
from policies.model import (
    BrownoutPolicy,
    FastSeen,
    NodeSeen,
    Observation,
    PodSeen,
    PolicySet,
    ProbeSeen,
    SignalHistory,
    SignalKind,
    SignalTarget,
    WorkloadPolicy,
    WorkloadSeen,
)
from policies.rotation import Rotation

CART, GATE = "shop/cart", "shop/gate"
DEAD_CODES = {ReasonCode.PROBES_FAILED, ReasonCode.NODE_DOWN, ReasonCode.ZONE_DOWN}
POLICIES = PolicySet(
    {
        GATE: WorkloadPolicy(GATE, brownout=BrownoutPolicy(enabled=True)),
        CART: WorkloadPolicy(CART, entry=GATE),
    }
)
TICK_S = 15.0
LEAD_S = 30.0


class Shop:
    """Two workloads over three one-node zones. Obeys most writes; pods leak, slow down, die and come back."""

    def __init__(self, sizes: Mapping[str, int], rng: np.random.Generator) -> None:
        self.rng = rng
        self.now_s = 0.0
        self.sizes = sizes
        self.born = 0
        self.pods: dict[str, dict[str, PodSeen]] = {name: {} for name in sizes}
        self.leak: dict[str, tuple[float, float]] = {}
        self.dead: set[str] = set()
        for name, size in sizes.items():
            for _ in range(size):
                self._bear(name, ready_at_s=-1000.0)

    def _bear(self, workload: str, ready_at_s: float | None) -> None:
        name, zone = f"{workload[-4:]}-{self.born}", "abc"[self.born % 3]
        self.born += 1
        self.pods[workload][name] = PodSeen(name, f"n-{zone}", zone, self.now_s, ready_at_s=ready_at_s)
        self.leak[name] = (float(self.rng.uniform(100.0, 480.0)), float(self.rng.choice([0.0, 0.0, 10.0, 30.0])))

    def pass_time(self) -> None:
        self.now_s += TICK_S
        for name, pods in self.pods.items():
            for pod in list(pods.values()):
                level, per_min = self.leak[pod.name]
                self.leak[pod.name] = (level + per_min * TICK_S / 60.0, per_min)
                started = pod.ready_at_s is None and self.now_s - pod.created_at_s >= LEAD_S
                sick = self.rng.random() < 0.2
                pods[pod.name] = replace(
                    pod,
                    ready_at_s=self.now_s if started else pod.ready_at_s,
                    rate_rps=20.0,
                    error_ratio=float(self.rng.uniform(0.2, 0.9)) if sick else 0.0,
                    latency_mean_s=float(self.rng.uniform(0.05, 2.0)) if sick else 0.1,
                )
            kept = sum(1 for pod in pods.values() if not pod.detached)
            for _ in range(self.sizes[name] - kept):
                self._bear(name, ready_at_s=None)

    def _workloads(self) -> tuple[WorkloadSeen, ...]:
        return tuple(
            WorkloadSeen(name, self.sizes[name], tuple(pods.values()), hpa_min=1) for name, pods in self.pods.items()
        )

    def look(self, blind: bool) -> tuple[Observation, Forecast]:
        targets = [SignalTarget(SignalKind.MEMORY, name, pod) for name, pods in self.pods.items() for pod in pods]
        level = np.array([self.leak[target.member][0] for target in targets])
        slope = np.array([self.leak[target.member][1] for target in targets])
        paths = level[:, None, None] + slope[:, None, None] * np.arange(1.0, 61.0) + np.zeros((1, 10, 1))
        history = SignalHistory(tuple(targets), level[:, None], np.full(len(targets), 512.0), 60.0, self.now_s)
        unknown = np.full(len(targets), np.nan)
        signals = Forecast(
            tuple(target.key for target in targets),
            LEVELS,
            np.repeat(paths[:, 0, :, None], len(LEVELS), axis=2),
            paths,
            self.now_s,
            self.now_s,
            60.0,
            "test",
            unknown,
            unknown,
        )
        seen = Observation(
            self.now_s, self._workloads(), self._nodes(), signals=history, metrics_age_s=None if blind else 5.0
        )
        return seen, signals

    def fast_look(self, silent: bool) -> FastSeen:
        probes = tuple(
            ProbeSeen(
                name, pod.name, pod.node, pod.zone, dict.fromkeys("ab", None if silent else pod.name not in self.dead)
            )
            for name, pods in self.pods.items()
            for pod in pods.values()
        )
        return FastSeen(self.now_s, probes, self._nodes(), {one.name: one for one in self._workloads()})

    def _nodes(self) -> tuple[NodeSeen, ...]:
        return tuple(NodeSeen(f"n-{zone}", zone, True) for zone in "abc")

    def endpoints(self, workload: str) -> set[str]:
        return {pod.name for pod in self.pods[workload].values() if pod.ready and pod.traffic_on}

    def obey(self, action: Action) -> None:
        pods = self.pods.get(getattr(action, "workload", ""), {})
        match action:
            case SetTraffic() if action.pod in pods:
                pods[action.pod] = replace(pods[action.pod], traffic_on=action.on)
            case DetachPod() if action.pod in pods:
                pods[action.pod] = replace(pods[action.pod], detached=True)
            case ReattachPod() if action.pod in pods:
                pods[action.pod] = replace(pods[action.pod], detached=False)
            case EvictPod():
                pods.pop(action.pod, None)


def expiry(action: Action) -> float | None:
    """When an action that can be undone ends by itself; None for those that are undoing or final."""
    match action:
        case SetTraffic(on=False) | DetachPod() | ShiftZone() | SetBrownout() | SetWeights():
            assert action.expires_at_s is not None
            return action.expires_at_s
        case _:
            return None


def is_about_the_dead(decision: Decision) -> bool:
    return decision.fast and any(reason.code in DEAD_CODES for reason in decision.reasons)


@settings(max_examples=40, deadline=None)
@given(
    cart=st.integers(1, 5),
    gate=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    refusal=st.sampled_from([0.0, 0.3]),
    restarts=st.booleans(),
)
def test_whatever_happens_acts_stay_safe(cart: int, gate: int, seed: int, refusal: float, restarts: bool) -> None:
    rng = np.random.default_rng(seed)
    shop, state = Shop({CART: cart, GATE: gate}, rng), Memory()

    for tick in range(60):
        shop.pass_time()
        if rng.random() < 0.1:
            shop.dead = set(rng.choice([pod for pods in shop.pods.values() for pod in pods], size=2))
        blind, silent = bool(rng.random() < 0.1), bool(rng.random() < 0.1)
        if restarts and tick % 7 == 3:
            state = memory.load(memory.dump(state))
        decisions: tuple[Decision, ...] = ()
        for fast in (True, True, True, False):
            if fast:
                shop.now_s += 1.0
                decisions, state = planner.decide_fast(shop.fast_look(silent), state, POLICIES, shop.now_s)
                assert not (silent and any(takes_away(decision) for decision in decisions))
            else:
                seen, signals = shop.look(blind)
                decisions, state = planner.decide(seen, None, signals, state, POLICIES, shop.now_s)
                assert not (blind and any(decision.actions for decision in decisions))
            for decision in decisions:
                state = carry_out(shop, decision, state, refusal)
        for name in shop.sizes:
            touched = [one for one in shop.pods[name].values() if one.detached]
            assert len(touched) <= 1  # one replacement at a time


def takes_away(decision: Decision) -> bool:
    return any(expiry(action) is not None for action in decision.actions)


def carry_out(shop: Shop, decision: Decision, state: Memory, refusal: float) -> Memory:
    """Checks every action against the cluster it meets, then does it or refuses."""
    disruptive = [action for action in decision.actions if expiry(action) is not None or isinstance(action, EvictPod)]
    assert len(disruptive) <= 1 or is_about_the_dead(decision)
    for action in decision.actions:
        ends_at_s = expiry(action)
        assert ends_at_s is None or shop.now_s < ends_at_s <= shop.now_s + 3600.0
        if isinstance(action, SetTraffic | EvictPod) and not (isinstance(action, SetTraffic) and action.on):
            assert shop.endpoints(action.workload) - {action.pod}  # somebody is left
        if isinstance(action, EvictPod):
            pod = shop.pods[action.workload][action.pod]
            assert pod.detached and not pod.traffic_on  # made before broken
        if shop.rng.random() < refusal:
            state = planner.not_done(state, state, action)
        else:
            shop.obey(action)
    return state


@given(pods=st.integers(1, 3), ratio=st.floats(0.0, 1.0), out=st.integers(0, 3))
def test_small_workloads_never_lose_their_last_endpoint_to_rounding(pods: int, ratio: float, out: int) -> None:
    several = tuple(
        PodSeen(f"p{number}", None, None, 0.0, ready_at_s=0.0, traffic_on=number >= out) for number in range(pods)
    )
    workload = WorkloadSeen(CART, pods, several)
    rotation = Rotation({}, frozenset(), frozenset())

    allowed = [
        pod.name
        for pod in workload.endpoints
        if rotation.live_pod_leaves(workload, pod.name, ratio, for_good=False) is None
    ]

    assert not allowed or len(workload.endpoints) >= 2
