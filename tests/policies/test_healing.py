"""Healing: growing signals are met in time, outliers get less, then nothing, then a successor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from forecasting.forecast import LEVELS, Floats, Forecast
from policies import growth, healing, outliers, weights
from policies.decision import (
    DetachPod,
    EvictPod,
    Proposal,
    ReasonCode,
    ReattachPod,
    SetTraffic,
    SetWeights,
)
from policies.healing import HealingMemory
from policies.model import (
    DemandHistory,
    HealingPolicy,
    Observation,
    PodSeen,
    PolicySet,
    Rung,
    SignalHistory,
    SignalKind,
    SignalTarget,
    WorkloadPolicy,
    WorkloadSeen,
)
from policies.replacement import DEADLINE_S

CART = "shop/cart"
LEAD_S = 45.0
CAPACITY_RPS = 40.0
LIMIT_MIB = 512.0


def pod(name: str, **known: object) -> PodSeen:
    number = int(name[1:]) % 3
    seen = PodSeen(
        name,
        f"n{number}",
        "abc"[number],
        -5000.0,
        ready_at_s=-4900.0,
        rate_rps=20.0,
        error_ratio=0.0,
        latency_mean_s=0.1,
    )
    return replace(seen, **known)  # type: ignore[arg-type]


def cart(*pods: PodSeen, **known: object) -> WorkloadSeen:
    return replace(WorkloadSeen(CART, len(pods), pods, hpa_min=2), **known)  # type: ignore[arg-type]


def memory_signals(
    leaks: Mapping[str, tuple[float, float]], kind: SignalKind = SignalKind.MEMORY
) -> tuple[SignalHistory, Floats]:
    """History and linear paths, from (MiB now, MiB a minute) by pod: all futures alike but for ±2 % of the slope."""
    targets = tuple(SignalTarget(kind, CART, name) for name in leaks)
    level = np.array([now for now, _ in leaks.values()])
    slope = np.array([per_min for _, per_min in leaks.values()])
    values = level[:, None] + slope[:, None] * np.arange(-29.0, 1.0)
    spread = np.linspace(0.98, 1.02, 100)
    paths = level[:, None, None] + slope[:, None, None] * spread[None, :, None] * np.arange(1, 61)
    return SignalHistory(targets, values, np.full(len(leaks), LIMIT_MIB), 60.0, 0.0), paths


def forecast(history: SignalHistory, paths: Floats, issued_at_s: float) -> Forecast:
    quantiles = np.quantile(paths, LEVELS, axis=1).transpose(1, 2, 0)
    unknown = np.full(len(paths), np.nan)
    names = tuple(target.key for target in history.targets)
    return Forecast(names, LEVELS, quantiles, paths, issued_at_s, history.last_at_s, 60.0, "test", unknown, unknown)


class Ward:
    """Drives healing over looks 15 s apart, with a new forecast every minute."""

    def __init__(self, **healing_policy: object) -> None:
        policy = HealingPolicy(**healing_policy)  # type: ignore[arg-type]
        self.policies = PolicySet({CART: WorkloadPolicy(CART, healing=policy)})
        self.memory = HealingMemory()
        self.reasons: list[ReasonCode] = []
        self.left_zones: frozenset[str] = frozenset()

    def look(
        self,
        workload: WorkloadSeen,
        now_s: float,
        leaks: Mapping[str, tuple[float, float]] | None = None,
        kind: SignalKind = SignalKind.MEMORY,
        **known: object,
    ) -> list[Proposal]:
        history, signals = None, None
        if leaks:
            history, paths = memory_signals(leaks, kind)
            start_s = 60.0 * (now_s // 60.0)
            history = replace(history, last_at_s=start_s)
            signals = forecast(history, paths, start_s)
        seen = Observation(now_s, (workload,), signals=history, metrics_age_s=5.0)
        seen = replace(seen, **known)  # type: ignore[arg-type]
        proposals, reasons, self.memory = healing.propose(
            seen, signals, self.policies, {CART: LEAD_S}, {CART: CAPACITY_RPS}, self.memory, now_s, self.left_zones
        )
        self.reasons = [reason.code for reason in reasons.get(CART, ())]
        return list(proposals)

    def looks(self, workload: WorkloadSeen, times_s: Sequence[float], **known: object) -> list[Proposal]:
        """The first proposals that come, and none afterwards are looked for."""
        for now_s in times_s:
            proposals = self.look(workload, now_s, **known)  # type: ignore[arg-type]
            if proposals:
                return proposals
        return []


THREE = (pod("p0"), pod("p1"), pod("p2"))
# One replacement takes max(45 + 60, cooldown 120) = 120 s, the margin is 120 s and a forecast step 60 s: a single pod
# has to last 300 s. At 20 MiB a minute that is 100 MiB below the limit of 512.
SOON, LATER = (420.0, 20.0), (300.0, 20.0)


def test_a_leaking_pod_is_detached_when_two_forecasts_say_that_it_will_not_last() -> None:
    ward = Ward()

    assert ward.looks(cart(*THREE), (0.0, 15.0, 30.0, 45.0), leaks={"p1": SOON}) == []
    assert ReasonCode.FAILURE_EXPECTED in ward.reasons
    proposals = ward.look(cart(*THREE), 60.0, {"p1": SOON})

    assert [proposal.action for proposal in proposals] == [DetachPod(CART, "p1", 60.0 + DEADLINE_S)]
    assert proposals[0].disruptive


def test_a_leak_that_leaves_time_is_left_alone() -> None:
    assert Ward().looks(cart(*THREE), range(0, 300, 15), leaks={"p1": LATER}) == []


def test_a_pod_that_does_not_grow_is_left_alone() -> None:
    assert Ward().looks(cart(*THREE), range(0, 300, 15), leaks={"p0": (200.0, 0.0), "p1": (210.0, 0.0)}) == []


def test_when_all_pods_leak_the_first_goes_early_enough_for_the_others() -> None:
    # 300 MiB and 20 a minute: 10.6 minutes left. Alone a pod may wait until 5 minutes are left (the case above), the
    # third in line has to last 3 x 120 + 180 = 540 s, and the fourth 660 s, which it does not.
    four = (*THREE, pod("p3"))
    leaks = {f"p{number}": (300.0 - number, 20.0) for number in range(4)}

    assert Ward().looks(cart(*THREE), (0.0, 60.0, 120.0), leaks=dict(list(leaks.items())[:3])) == []
    proposals = Ward().looks(cart(*four), (0.0, 60.0, 120.0), leaks=leaks)

    assert [proposal.action for proposal in proposals] == [DetachPod(CART, "p0", 60.0 + DEADLINE_S)]
    facts = proposals[0].reasons[0].facts
    assert facts["pods_at_risk"] == 4.0
    assert facts["replacing_all_s"] == 480.0


def test_one_pod_at_a_time() -> None:
    ward = Ward()
    leaks = {"p0": (430.0, 20.0), "p1": (425.0, 20.0)}
    assert len(ward.looks(cart(*THREE), (0.0, 60.0), leaks=leaks)) == 1

    outside = cart(pod("p0", detached=True), *THREE[1:], replicas=3)
    assert ward.looks(outside, (75.0, 90.0, 105.0, 120.0), leaks=leaks) == []


def replaced(ward: Ward) -> None:
    """Up to the detach of p1 at 60 s."""
    assert ward.looks(cart(*THREE), (0.0, 60.0), leaks={"p1": SOON})


OUT = (pod("p0"), pod("p1", detached=True), pod("p2"))
OUT_OFF = (pod("p0"), pod("p1", detached=True, traffic_on=False, rate_rps=0.0), pod("p2"))


def newcomer(ready_at_s: float | None) -> PodSeen:
    return pod("p9", created_at_s=62.0, ready_at_s=ready_at_s)


def test_a_replacement_breaks_only_after_it_made() -> None:
    ward = Ward()
    replaced(ward)

    assert ward.look(cart(*OUT, newcomer(None), replicas=3), 75.0) == []
    assert ward.look(cart(*OUT, newcomer(None), replicas=3), 90.0) == []
    assert ward.look(cart(*OUT, newcomer(100.0), replicas=3), 105.0) == []  # Ready for 5 s, not yet warm
    (off,) = ward.look(cart(*OUT, newcomer(100.0), replicas=3), 120.0)
    assert off.action == SetTraffic(CART, "p1", on=False, expires_at_s=660.0)
    assert ward.look(cart(*OUT_OFF, newcomer(100.0), replicas=3), 135.0) == []  # draining
    (evict,) = ward.look(cart(*OUT_OFF, newcomer(100.0), replicas=3), 150.0)
    assert evict.action == EvictPod(CART, "p1")
    assert ward.look(cart(pod("p0"), pod("p2"), newcomer(100.0), replicas=3), 165.0) == []
    assert ward.memory.replacements == {}


@pytest.mark.parametrize("rate_rps", [pytest.param(5.0, id="answers-still"), pytest.param(None, id="nobody-knows")])
@pytest.mark.parametrize(("limit_s", "evicted_at_s"), [(15.0, 150.0), (30.0, 165.0), (60.0, 195.0)])
def test_requests_under_way_keep_a_drained_pod_no_longer_than_its_limit(
    limit_s: float, evicted_at_s: float, rate_rps: float | None
) -> None:
    ward = Ward(drain_limit_s=limit_s)
    replaced(ward)
    here, busy = newcomer(100.0), pod("p1", detached=True, traffic_on=False, rate_rps=rate_rps)
    ward.look(cart(*OUT, here, replicas=3), 105.0)
    ward.look(cart(*OUT, here, replicas=3), 120.0)

    # Seen without traffic at 135 s.
    drained = cart(pod("p0"), busy, pod("p2"), here, replicas=3)
    evicted = [now_s for now_s in range(135, 225, 15) if ward.look(drained, float(now_s))]

    assert evicted[0] == evicted_at_s


def test_a_replacement_that_does_not_come_is_undone_at_the_deadline() -> None:
    ward = Ward()
    replaced(ward)
    waiting = cart(*OUT, newcomer(None), replicas=3)
    assert ward.looks(waiting, range(75, 660, 15)) == []

    (undo,) = ward.look(waiting, 660.0)

    assert undo.action == ReattachPod(CART, "p1")
    assert not undo.disruptive
    assert ward.look(cart(*THREE), 675.0) == []
    assert ward.memory.replacements == {}


def test_a_replacement_that_makes_things_worse_is_undone_one_write_at_a_time() -> None:
    ward = Ward()
    replaced(ward)
    here = newcomer(100.0)
    for now_s, pods in ((75.0, OUT), (120.0, OUT), (135.0, OUT_OFF)):
        ward.look(cart(*pods, here, replicas=3, error_ratio=0.0), now_s)

    (on,) = ward.look(cart(*OUT_OFF, here, replicas=3, error_ratio=0.20), 150.0)
    assert on.action == SetTraffic(CART, "p1", on=True)
    (back,) = ward.look(cart(*OUT, here, replicas=3), 165.0)
    assert back.action == ReattachPod(CART, "p1")


def test_a_replacement_that_comes_and_goes_is_waited_for_again() -> None:
    ward = Ward()
    replaced(ward)
    ward.look(cart(*OUT, newcomer(100.0), replicas=3), 105.0)
    assert ward.look(cart(*OUT, newcomer(100.0), replicas=3), 120.0)

    assert ward.look(cart(*OUT, newcomer(None), replicas=3), 135.0) == []
    assert ReasonCode.REPLACEMENT_WAITING in ward.reasons


def test_a_refused_detach_is_asked_for_again_and_then_forgotten() -> None:
    ward = Ward()
    replaced(ward)

    assert [type(one.action) for one in ward.look(cart(*THREE), 75.0)] == [DetachPod]
    assert ward.look(cart(*THREE), 105.0) == []
    assert ward.memory.replacements == {}


def test_blindness_stops_a_replacement_where_it_is_but_not_its_undo() -> None:
    ward = Ward()
    replaced(ward)
    ward.look(cart(*OUT, replicas=3), 75.0)

    assert ward.look(cart(*OUT, newcomer(90.0), replicas=3), 120.0, metrics_age_s=None) == []
    (undo,) = ward.look(cart(*OUT, newcomer(None), replicas=3), 660.0, metrics_age_s=None)
    assert isinstance(undo.action, ReattachPod)


def test_where_replacing_is_not_allowed_the_pod_is_drained_once_another_one_serves() -> None:
    ward = Ward(replace_allowed=False)
    assert ward.looks(cart(*THREE), (0.0, 15.0, 30.0, 45.0, 60.0), leaks={"p1": SOON}) == []
    assert healing.leaving(ward.memory) == {CART: 1}  # the floor is raised first

    (off,) = ward.look(cart(*THREE, pod("p3")), 75.0, {"p1": SOON})

    assert off.action == SetTraffic(CART, "p1", on=False, expires_at_s=75.0 + 600.0)


def test_a_drain_waits_for_capacity_no_longer_than_it_could_take() -> None:
    ward = Ward(replace_allowed=False)
    ward.looks(cart(*THREE), (0.0, 60.0), leaks={"p1": SOON})

    # Lead time 45 s and 30 s of slack: 60 + 75 = 135.
    assert ward.looks(cart(*THREE), (75.0, 90.0, 105.0, 120.0), leaks={"p1": SOON}) == []
    assert len(ward.look(cart(*THREE), 135.0, {"p1": SOON})) == 1


def drained(ward: Ward) -> WorkloadSeen:
    """p1 off since 135 s, until 735 s."""
    ward.looks(cart(*THREE), (0.0, 60.0), leaks={"p1": SOON})
    ward.looks(cart(*THREE), (75.0, 135.0), leaks={"p1": SOON})
    return cart(pod("p0"), pod("p1", traffic_on=False, rate_rps=0.0), pod("p2"))


def test_a_drained_pod_comes_back_when_it_has_recovered() -> None:
    ward = Ward(replace_allowed=False)
    off = drained(ward)
    assert ward.look(off, 150.0, {"p1": SOON}) == []

    # Flat and far from the limit. The curve is known because the pod is watched, though harmless.
    (back,) = ward.look(off, 180.0, {"p1": (300.0, 0.0)})

    assert back.action == SetTraffic(CART, "p1", on=True)


def test_a_drain_is_renewed_while_the_danger_lasts_and_ends_by_itself_without_evidence() -> None:
    ward = Ward(replace_allowed=False)
    off = drained(ward)
    assert ward.looks(off, range(150, 690, 15), leaks={"p1": SOON}) == []
    (renewed,) = ward.look(off, 690.0, {"p1": SOON})
    assert renewed.action == SetTraffic(CART, "p1", on=False, expires_at_s=690.0 + 600.0)

    assert ward.looks(off, range(705, 1290, 15)) == []  # nothing is known any more: nothing is renewed
    (back,) = ward.look(off, 1305.0)  # the expiry is overdue
    assert back.action == SetTraffic(CART, "p1", on=True)


def test_stores_are_not_healed_by_draining() -> None:
    ward = Ward()
    ward.policies = PolicySet({CART: WorkloadPolicy(CART, stateless=False)})

    assert ward.looks(cart(*THREE), (0.0, 60.0, 120.0), leaks={"p1": SOON}) == []


@pytest.mark.parametrize(
    "trouble", [{"restarts": 3}, {"ready_at_s": None}, {"ready_at_s": 30.0}, {"traffic_on": False}]
)
def test_pods_that_crash_start_or_do_not_serve_are_not_replaced(trouble: dict[str, object]) -> None:
    # A crash loop after a rollout is the rollout's: the successor would crash as well.
    ward = Ward()
    pods = (pod("p0"), pod("p1", **trouble), pod("p2"))

    assert ward.looks(cart(*pods), (0.0, 15.0, 60.0, 75.0), leaks={"p1": SOON}) == []


def test_no_forecast_no_act() -> None:
    history, paths = memory_signals({"p1": SOON})
    stale = forecast(history, paths, issued_at_s=-301.0)
    seen = Observation(0.0, (cart(*THREE),), signals=history, metrics_age_s=5.0)
    policies = PolicySet({CART: WorkloadPolicy(CART)})

    for signals in (None, stale):
        proposals, _, _ = healing.propose(seen, signals, policies, {}, {}, HealingMemory(), 0.0)
        assert proposals == ()


def test_stale_objects_hold_everything() -> None:
    ward = Ward()

    assert ward.looks(cart(*THREE), (0.0, 60.0, 120.0), leaks={"p1": SOON}, api_ok=False) == []


def test_the_ladder_decides_between_replacing_and_draining_and_nothing() -> None:
    drains = Ward(highest_rung=Rung.DRAIN)
    drains.looks(cart(*THREE), (0.0, 60.0), leaks={"p1": SOON})
    nothing = Ward(highest_rung=Rung.REWEIGHT)
    nothing.looks(cart(*THREE), (0.0, 60.0), leaks={"p1": SOON})

    assert drains.memory.drains.keys() == {CART}
    assert nothing.memory.drains == {} and nothing.memory.replacements == {}
    assert ReasonCode.RUNG_NOT_ALLOWED in nothing.reasons


def test_full_queues_everywhere_are_load_and_not_healed() -> None:
    leaks = dict.fromkeys(("p0", "p1", "p2"), (430.0, 20.0))

    assert Ward().looks(cart(*THREE), (0.0, 60.0, 120.0), leaks=leaks, kind=SignalKind.QUEUE) == []
    assert Ward().looks(cart(*THREE), (0.0, 60.0), leaks={"p1": SOON}, kind=SignalKind.QUEUE) != []


def test_pools_that_fill_with_demand_are_load_and_those_that_fill_without_are_leaks() -> None:
    leaks = dict.fromkeys(("p0", "p1", "p2"), (430.0, 20.0))
    flat, rising = np.full((1, 100), 50.0), np.linspace(10.0, 100.0, 100)[None, :]
    histories = [DemandHistory((CART,), rps, np.zeros((1, 100)), 15.0, 0.0) for rps in (flat, rising)]

    acts = [
        bool(Ward().looks(cart(*THREE), (0.0, 60.0), leaks=leaks, kind=SignalKind.CONNECTION_POOL, demand=history))
        for history in histories
    ]

    assert acts == [True, False]


# Three pods, 60 requests/s: two of 40 each would be filled to 75 %.
SICK = (pod("p0"), pod("p1", error_ratio=0.5), pod("p2"))
SLOW = (pod("p0"), pod("p1", latency_mean_s=0.9), pod("p2"))
DETACH = DetachPod(CART, "p1", DEADLINE_S)
OFF = SetTraffic(CART, "p1", on=False, expires_at_s=DEADLINE_S)


def test_a_pod_that_fails_half_of_its_requests_leaves_at_the_first_look_where_its_peers_carry_the_load() -> None:
    # 20 requests/s x 15 s x 0.5 = 150 failed answers and none of its peers': no coincidence.
    proposals = Ward().look(cart(*SICK, offered_rps=60.0), 0.0)

    assert [proposal.action for proposal in proposals] == [DETACH, OFF]


def test_a_failing_pod_is_left_to_its_zone_while_that_is_decided_upon() -> None:
    ward = Ward()
    ward.left_zones = frozenset({"b"})

    assert DetachPod not in {type(one.action) for one in ward.look(cart(*SICK, offered_rps=60.0), 0.0)}
    assert ReasonCode.ZONE_DOWN in ward.reasons

    ward.left_zones = frozenset()
    assert DetachPod in {type(one.action) for one in ward.look(cart(*SICK, offered_rps=60.0), 15.0)}


@pytest.mark.parametrize("offered_rps", [None, 75.0], ids=["unknown demand", "94 % of what two pods carry"])
def test_where_its_peers_cannot_carry_the_load_a_failing_pod_serves_until_its_successor_does(
    offered_rps: float | None,
) -> None:
    proposals = Ward().look(cart(*SICK, offered_rps=offered_rps), 0.0)

    assert [proposal.action for proposal in proposals] == [DETACH]


def test_a_relieved_pod_goes_when_its_successor_has_come() -> None:
    ward = Ward()
    off = (pod("p0"), pod("p1", error_ratio=None, rate_rps=0.0, detached=True, traffic_on=False), pod("p2"))
    ward.look(cart(*SICK, offered_rps=60.0), 0.0)

    assert ward.looks(cart(*off, newcomer(None), replicas=3, offered_rps=60.0), (15.0, 30.0, 45.0)) == []
    (evict,) = ward.look(cart(*off, newcomer(40.0), replicas=3, offered_rps=60.0), 60.0)

    assert evict.action == EvictPod(CART, "p1")


def test_a_pod_that_begins_to_do_harm_without_need_leaves_while_its_successor_starts() -> None:
    # At first demand is too high; at the third look two pods carry it.
    ward = Ward()
    outside = (pod("p0"), pod("p1", error_ratio=0.5, detached=True), pod("p2"))
    ward.look(cart(*SICK, offered_rps=90.0), 0.0)
    assert ward.look(cart(*outside, newcomer(None), replicas=3, offered_rps=90.0), 15.0) == []
    assert ward.look(cart(*outside, newcomer(None), replicas=3, offered_rps=90.0), 30.0) == []

    (off,) = ward.look(cart(*outside, newcomer(None), replicas=3, offered_rps=60.0), 45.0)

    assert off.action == OFF


def test_when_the_detach_is_refused_the_traffic_comes_back() -> None:
    ward = Ward()
    ward.look(cart(*SICK, offered_rps=60.0), 0.0)
    off = cart(pod("p0"), pod("p1", error_ratio=None, rate_rps=0.0, traffic_on=False), pod("p2"), offered_rps=60.0)
    assert [type(one.action) for one in ward.look(off, 15.0)] == [DetachPod]

    (back,) = ward.look(off, 45.0)

    assert back.action == SetTraffic(CART, "p1", on=True)


def test_a_few_failed_answers_are_looked_at_twice() -> None:
    # 1 request/s x 15 s x 0.4 = 6 failed answers: meanwhile it gets less.
    ward = Ward()
    few = cart(pod("p0"), pod("p1", error_ratio=0.4, rate_rps=1.0), pod("p2"))

    (less,) = ward.look(few, 0.0)

    assert less.action == SetWeights(CART, {"p1": 0.25}, 120.0)
    assert [type(one.action) for one in ward.look(few, 15.0)] == [DetachPod]


def test_where_replacing_is_not_allowed_a_failing_pod_is_drained_on_probation() -> None:
    (off,) = Ward(replace_allowed=False).look(cart(*SICK, offered_rps=60.0), 0.0)

    assert off.action == SetTraffic(CART, "p1", on=False, expires_at_s=180.0)


def test_a_slow_pod_first_gets_less_and_leaves_at_the_second_look() -> None:
    ward = Ward()
    slow = cart(*SLOW, offered_rps=60.0)

    (less,) = ward.look(slow, 0.0)
    # It does 0.1 / 0.9 of its peers' work: a ninth, and nobody gets less than a quarter by weight.
    assert less.action == SetWeights(CART, {"p1": 0.25}, 120.0)
    assert not less.disruptive
    assert [type(one.action) for one in ward.look(slow, 15.0)] == [DetachPod, SetTraffic]


def test_a_pod_slower_than_its_peers_but_far_from_the_slo_only_gets_less() -> None:
    ward = Ward()
    slower = cart(pod("p0"), pod("p1", latency_mean_s=0.3), pod("p2"))  # SLO 1 s

    actions = [one.action for now_s in range(0, 300, 15) for one in ward.look(slower, now_s)]

    assert {type(action) for action in actions} == {SetWeights}


def test_a_pod_that_grows_slower_leaves_before_users_feel_it() -> None:
    # Harm begins at a mean of 0.4 s. From 0.20 s by 0.02 s a look, it would come after ten looks; help takes 165 s,
    # eleven looks. The third look is the first that counts as a trend: 0.24 + 11 x 0.02 = 0.46.
    ward = Ward()

    for look in range(2):
        slower = cart(pod("p0"), pod("p1", latency_mean_s=0.20 + 0.02 * look), pod("p2"))
        assert [type(one.action) for one in ward.look(slower, 15.0 * look)] in ([SetWeights], [])
    slower = cart(pod("p0"), pod("p1", latency_mean_s=0.24), pod("p2"))

    assert [type(one.action) for one in ward.look(slower, 30.0)] == [DetachPod]


def burning(cores: float, rate_rps: float = 20.0) -> WorkloadSeen:
    """Peers use 0.015 cores per request a second: 0.3 cores of 1."""
    burnt = pod("p1", cpu_cores=cores, rate_rps=rate_rps)
    return cart(pod("p0", cpu_cores=0.3), burnt, pod("p2", cpu_cores=0.3), cpu_limit_cores=1.0)


def test_a_pod_that_burns_more_and_more_cpu_leaves_before_it_is_slow() -> None:
    ward = Ward()

    assert ward.look(burning(0.45), 0.0) == []  # 0.15 cores above its peers are within what happens
    looks = [[type(one.action) for one in ward.look(burning(cores), now_s)] for cores, now_s in
             ((0.52, 15.0), (0.56, 30.0), (0.60, 45.0))]  # fmt: skip

    assert looks[0] == [SetWeights]
    assert looks[2] == [DetachPod]


def test_less_traffic_does_not_hide_a_burn() -> None:
    # 0.015 x 5 = 0.075 cores for its requests, 0.4 beside them. With a third of the 45 requests/s it would use 0.625.
    found = outliers.worst(burning(0.475, rate_rps=5.0), 1.0, 0.0)

    assert found is not None
    assert (found.signal, found.value, found.peers) == ("cpu", pytest.approx(0.625), pytest.approx(0.225))


def test_pods_that_stand_out_on_one_node_are_one_cause() -> None:
    # A slow pod of cart and one of gate on the same node: each look counts for one more.
    gate = "shop/gate"
    policies = PolicySet({name: WorkloadPolicy(name) for name in (CART, gate)})
    elsewhere = WorkloadSeen(gate, 3, SLOW, hpa_min=2)

    def acts(other: WorkloadSeen) -> set[str]:
        seen = Observation(0.0, (cart(*SLOW), other), metrics_age_s=5.0)
        proposals, _, _ = healing.propose(seen, None, policies, {}, {}, HealingMemory(), 0.0)
        return {one.workload for one in proposals if one.disruptive}

    assert acts(elsewhere) == {CART, gate}
    assert acts(replace(elsewhere, pods=tuple(replace(one, node="n9") for one in SLOW))) == set()


def test_a_pod_that_comes_back_slow_is_not_given_less_forever() -> None:
    # Half of what would do harm: with less traffic it looked well, with all of it it was slow again.
    ward = Ward()
    slower = cart(pod("p0"), pod("p1", latency_mean_s=0.25), pod("p2"))
    ward.look(slower, 0.0)
    assert ward.looks(cart(*THREE), (15.0, 30.0, 45.0, 60.0)) == []
    ward.look(cart(*THREE), 75.0)

    assert ward.look(slower, 90.0) != []
    assert [type(one.action) for one in ward.look(slower, 105.0)] == [DetachPod]


def test_weights_end_when_the_pod_has_been_fine_for_a_minute() -> None:
    ward = Ward()
    ward.look(cart(*SLOW), 0.0)
    assert ward.looks(cart(*THREE), (15.0, 30.0, 45.0, 60.0)) == []

    (equal,) = ward.look(cart(*THREE), 75.0)

    assert equal.action == SetWeights(CART, {"p1": 1.0}, 195.0)


def test_nothing_is_weighed_where_routes_may_not_be_written() -> None:
    seen = Observation(0.0, (cart(*SLOW),), metrics_age_s=5.0)

    def acts(weights: bool) -> set[type[object]]:
        policies = PolicySet({CART: WorkloadPolicy(CART)}, weights=weights)
        memory, found = HealingMemory(), set()
        for now_s in (0.0, 15.0, 30.0):
            looked = replace(seen, now_s=now_s)
            proposals, _, memory = healing.propose(looked, None, policies, {}, {}, memory, now_s)
            found |= {type(one.action) for one in proposals}
        return found

    assert SetWeights in acts(weights=True)
    assert SetWeights not in acts(weights=False)


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param(tuple(pod(f"p{number}", latency_mean_s=0.9) for number in range(3)), id="all-slow"),
        pytest.param(tuple(pod(f"p{number}", error_ratio=0.5) for number in range(3)), id="all-failing"),
        pytest.param((pod("p0", error_ratio=0.5), pod("p1", error_ratio=0.2)), id="cause-behind-both"),
        pytest.param((pod("p0", error_ratio=0.5),), id="no-peers"),
        pytest.param((pod("p0"), pod("p1", latency_mean_s=0.14)), id="difference-too-small-to-feel"),
        pytest.param((pod("p0"), pod("p1", error_ratio=0.5, rate_rps=0.2)), id="too-little-traffic"),
        pytest.param((pod("p0"), pod("p1", latency_mean_s=None, error_ratio=None)), id="unknown"),
        pytest.param((pod("p0"), pod("p1", latency_mean_s=0.9, ready_at_s=-30.0)), id="cold"),
    ],
)
def test_no_outlier_where_there_is_none(pods: tuple[PodSeen, ...]) -> None:
    assert outliers.worst(cart(*pods), slo_latency_s=1.0, now_s=0.0) is None


def test_a_busy_pod_among_busy_pods_is_no_outlier() -> None:
    # 7 requests/s at 90 % of the limit: a queue of seconds comes and goes by chance.
    busy = [pod(f"p{n}", rate_rps=7.0, cpu_cores=0.7, latency_mean_s=0.25) for n in range(8)]
    slow = pod("p9", rate_rps=7.0, cpu_cores=0.9, latency_mean_s=1.0)

    assert outliers.worst(cart(*busy, slow, cpu_limit_cores=1.0), 1.0, 0.0) is None
    assert outliers.worst(cart(*busy, replace(slow, cpu_cores=0.3), cpu_limit_cores=1.0), 1.0, 0.0) is None
    idle = [replace(one, cpu_cores=0.2) for one in busy]
    assert outliers.worst(cart(*idle, replace(slow, cpu_cores=0.2), cpu_limit_cores=1.0), 1.0, 0.0) is not None


def test_an_outlier_is_measured_against_the_median_of_the_others() -> None:
    found = outliers.worst(cart(pod("p0", latency_mean_s=0.1), pod("p1", latency_mean_s=0.2), *SLOW[1:2]), 1.0, 0.0)

    assert found is not None
    assert found.value == 0.9
    assert found.peers == pytest.approx(0.15)


def test_noise_among_many_pods_is_no_outlier() -> None:
    rng = np.random.default_rng(1)
    latencies = rng.normal(0.5, 0.1, size=20)
    pods = tuple(pod(f"p{number}", latency_mean_s=float(latency)) for number, latency in enumerate(latencies))

    assert outliers.worst(cart(*pods), 1.0, 0.0) is None


@pytest.mark.parametrize(("ratio", "weight"), [(0.0, 0.25), (0.3, 0.25), (0.45, 0.5), (0.7, 0.75), (0.9, 1.0)])
def test_weights_come_in_quarters_and_never_starve(ratio: float, weight: float) -> None:
    assert weights.quantised(ratio) == weight


def test_demand_counts_as_risen_only_when_both_windows_are_known() -> None:
    seen = Observation(0.0, ())
    risen = np.concatenate([np.full(60, 10.0), np.full(20, 20.0)])[None, :]
    unknown = np.concatenate([np.full(60, np.nan), np.full(20, 20.0)])[None, :]

    def grew(rps: Floats) -> bool:
        demand = DemandHistory((CART,), rps, np.zeros_like(rps), 15.0, 0.0)
        return growth.demand_grew(replace(seen, demand=demand), CART)

    assert grew(risen)
    assert not grew(unknown)
    assert not growth.demand_grew(seen, CART)
