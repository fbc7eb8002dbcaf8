"""The fast lane: two seconds of failed probes from two zones, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from policies import fast_lane, guardrails
from policies.capacity import Capacity, CapacitySource
from policies.decision import Proposal, Reason, ReasonCode, RestoreZone, SetBrownout, SetScale, SetTraffic, ShiftZone
from policies.fast_lane import FastLaneMemory
from policies.model import (
    BrownoutPolicy,
    DatabaseSeen,
    FastSeen,
    HealingPolicy,
    MemberSeen,
    NodeSeen,
    Observation,
    PodSeen,
    PolicySet,
    ProbeSeen,
    Rung,
    WorkloadPolicy,
    WorkloadSeen,
)
from policies.surge import Means

CART, GATE = "shop/cart", "shop/gate"
UP = {"a": True, "b": True}
DOWN = {"a": False, "b": False}
ZONES = "abc"

Answers = Callable[[PodSeen], Mapping[str, bool | None]]


def pod(name: str, zone: str, **known: object) -> PodSeen:
    seen = PodSeen(name, f"node-{zone}", zone, -1000.0, ready_at_s=-900.0, cpu_cores=0.3)
    return replace(seen, **known)  # type: ignore[arg-type]


class Cluster:
    """Two workloads with a pod in each of three zones, one node to a zone. Applies what the lane does."""

    def __init__(self, highest: Rung = Rung.SWITCH_OVER, brownout: bool = False) -> None:
        healing = HealingPolicy(highest_rung=highest)
        dims = BrownoutPolicy(enabled=brownout, lowest_ceiling=0.2)
        self.policies = PolicySet(
            {
                GATE: WorkloadPolicy(GATE, healing=healing, brownout=dims),
                CART: WorkloadPolicy(CART, healing=healing, entry=GATE),
            }
        )
        self.nodes = {zone: NodeSeen(f"node-{zone}", zone, True) for zone in ZONES}
        self.pods = {
            name: {f"{name[-4:]}-{zone}": pod(f"{name[-4:]}-{zone}", zone) for zone in ZONES} for name in (GATE, CART)
        }
        self.memory = FastLaneMemory()
        self.looks = True  # full looks come as well, with figures 5 s old
        self.brakes = guardrails.GuardrailMemory()
        self.databases: tuple[DatabaseSeen, ...] = ()
        self.means = Means()

    def second(self, now_s: float, answers: Answers = lambda _: UP, **known: object) -> list[Proposal]:
        workloads = {
            name: WorkloadSeen(name, 3, tuple(pods.values()), cpu_limit_cores=1.0, offered_rps=100.0)
            for name, pods in self.pods.items()
        }
        probes = tuple(
            ProbeSeen(name, one.name, one.node, one.zone, answers(one))
            for name, workload in workloads.items()
            for one in workload.pods
        )
        seen = FastSeen(now_s, probes, tuple(self.nodes.values()), workloads, self.databases)
        seen = replace(seen, **known)  # type: ignore[arg-type]
        if self.looks:
            look = Observation(now_s, tuple(workloads.values()), metrics_age_s=5.0)
            self.memory = fast_lane.informed(self.memory, look, None, self.policies)
        proposals, _, self.memory = fast_lane.propose(seen, self.policies, self.means, self.memory, now_s)
        accepted, _, self.brakes = guardrails.judge(proposals, seen, self.policies, self.brakes, now_s)
        for proposal in accepted:
            if isinstance(proposal.action, SetTraffic):
                pods = self.pods[proposal.workload]
                pods[proposal.action.pod] = replace(pods[proposal.action.pod], traffic_on=proposal.action.on)
        return list(accepted)

    def seconds(self, times_s: Sequence[float], answers: Answers = lambda _: UP, **known: object) -> list[Proposal]:
        return [proposal for now_s in times_s for proposal in self.second(now_s, answers, **known)]

    def out(self) -> set[str]:
        return {name for pods in self.pods.values() for name, one in pods.items() if not one.traffic_on}


def only(*names: str) -> Answers:
    return lambda one: DOWN if one.name in names else UP


def of_zone(zone: str) -> Answers:
    return lambda one: DOWN if one.zone == zone else UP


def test_a_pod_that_answers_nobody_for_two_seconds_leaves() -> None:
    cluster = Cluster()

    assert cluster.second(0.0, only("cart-a")) == []
    (off,) = cluster.second(1.0, only("cart-a"))

    assert off.action == SetTraffic(CART, "cart-a", on=False, expires_at_s=121.0)
    assert [reason.code for reason in off.reasons] == [ReasonCode.PROBES_FAILED]
    assert off.fast


def test_a_single_missed_probe_is_nothing() -> None:
    cluster = Cluster()

    for now_s in range(20):
        assert cluster.second(now_s, only("cart-a") if now_s % 2 else only()) == []


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({"a": False, "b": True}, id="another-zone-reaches-it"),
        pytest.param({"a": False, "b": None}, id="one-witness"),
        pytest.param({"a": None, "b": None}, id="no-witness"),
        pytest.param({}, id="no-vantage-point"),
    ],
)
def test_without_two_witnesses_nothing_is_done(answers: Mapping[str, bool | None]) -> None:
    cluster = Cluster()

    assert cluster.seconds(range(30), lambda one: answers if one.name == "cart-a" else UP) == []


def test_a_silent_second_neither_adds_nor_clears() -> None:
    cluster = Cluster()
    cluster.second(0.0, only("cart-a"))
    silent = {"a": None, "b": None}

    assert cluster.second(1.0, lambda one: silent if one.name == "cart-a" else UP) == []
    assert len(cluster.second(2.0, only("cart-a"))) == 1


def test_after_a_gap_seconds_in_a_row_are_counted_anew() -> None:
    cluster = Cluster()
    cluster.second(0.0, only("cart-a"))

    assert cluster.second(10.0, only("cart-a")) == []
    assert len(cluster.second(11.0, only("cart-a"))) == 1


def test_a_node_that_says_it_is_down_needs_one_witness() -> None:
    cluster = Cluster()
    cluster.nodes["a"] = replace(cluster.nodes["a"], ready=False)
    cluster.pods[GATE]["gate-a"] = pod("gate-a", "a", node="another-node-of-a")

    (off,) = cluster.seconds((0.0, 1.0), lambda one: {"a": False, "b": None} if one.name == "cart-a" else UP)

    assert off.action == SetTraffic(CART, "cart-a", on=False, expires_at_s=121.0)
    assert [reason.code for reason in off.reasons] == [ReasonCode.NODE_DOWN]


def with_two_nodes_in_a(cluster: Cluster) -> Cluster:
    """Zone a has another node, whose pods show that the zone lives."""
    for name in (GATE, CART):
        other = f"{name[-4:]}-a2"
        cluster.pods[name][other] = pod(other, "a", node="node-a2")
    return cluster


WITNESS_GONE: Mapping[str, bool | None] = {"a": None, "b": False}
STILL_HEARD: Mapping[str, bool | None] = {"a": None, "b": True}


def test_a_node_that_took_its_own_witness_along_is_dead() -> None:
    cluster = with_two_nodes_in_a(Cluster())

    acts = cluster.seconds(
        (0.0, 1.0),
        lambda one: WITNESS_GONE if one.node == "node-a" else STILL_HEARD,
        silent_nodes=frozenset({"node-a"}),
    )

    assert cluster.out() == {"gate-a", "cart-a"}
    assert {reason.code for act in acts for reason in act.reasons} == {ReasonCode.NODE_DOWN}


def test_a_pod_beside_a_silent_witness_is_not_enough() -> None:
    cluster = with_two_nodes_in_a(Cluster())

    acts = cluster.seconds(
        range(10),
        lambda one: WITNESS_GONE if one.name == "cart-a" else STILL_HEARD,
        silent_nodes=frozenset({"node-a"}),
    )

    assert acts == []


def test_a_node_whose_witness_is_silent_elsewhere_is_not_blamed() -> None:
    cluster = with_two_nodes_in_a(Cluster())

    acts = cluster.seconds(
        range(10),
        lambda one: WITNESS_GONE if one.node == "node-a" else STILL_HEARD,
        silent_nodes=frozenset({"node-a2"}),
    )

    assert acts == []


def test_a_node_condition_alone_is_no_proof() -> None:
    cluster = Cluster()
    cluster.nodes["a"] = replace(cluster.nodes["a"], ready=False)

    assert cluster.seconds(range(10)) == []


def test_all_pods_of_a_dead_zone_leave_within_three_seconds() -> None:
    cluster = Cluster()

    taken = cluster.seconds((0.0, 1.0, 2.0), of_zone("b"))

    assert cluster.out() == {"gate-b", "cart-b"}
    assert {proposal.reasons[0].code for proposal in taken} == {ReasonCode.ZONE_DOWN}
    assert fast_lane.leaving(cluster.memory) == {GATE: 1, CART: 1}  # the floor makes up for them


def test_when_nearly_everything_fails_the_probes_are_doubted() -> None:
    cluster = Cluster()

    assert cluster.seconds(range(20), lambda one: UP if one.name == "cart-a" else DOWN) == []


def test_when_most_of_one_workload_fails_it_is_not_its_pods() -> None:
    # Two of three: overload or a bad dependency, and draining would put all of it on the third.
    cluster = Cluster()

    assert cluster.seconds(range(20), only("cart-a", "cart-b")) == []


def test_a_busy_pod_that_does_not_answer_is_overloaded_and_stays() -> None:
    cluster = Cluster()
    cluster.pods[CART]["cart-a"] = pod("cart-a", "a", cpu_cores=0.9)

    assert cluster.seconds(range(10), only("cart-a")) == []


def test_a_single_pod_is_left_alone_when_it_is_not_known_how_busy_it_was() -> None:
    cluster = Cluster()
    cluster.looks = False

    assert cluster.seconds(range(10), only("cart-a")) == []


def test_a_single_pod_is_left_alone_when_demand_has_just_jumped() -> None:
    # 100 requests/s at the last full look. 130 in a second is chance (three deviations of 10), 131 is not.
    calm, jumped = Cluster(), Cluster()

    assert len(calm.seconds((0.0, 1.0), only("cart-a"), gateway_rate_rps=130.0)) == 1
    assert jumped.seconds(range(10), only("cart-a"), gateway_rate_rps=131.0) == []


def silent_from(zone: str, cut: bool = False) -> Answers:
    """A zone is gone, and with it the vantage point in it; or it is only cut off and still sees itself."""

    def answers(one: PodSeen) -> Mapping[str, bool | None]:
        inside = one.zone == zone
        return {place: (inside if cut else None) if place == zone else not inside for place in "ab"}

    return answers


@pytest.mark.parametrize("cut", [False, True])
def test_a_dead_zone_is_proven_by_one_witness_and_the_silence_of_its_own(cut: bool) -> None:
    cluster = Cluster()

    taken = cluster.seconds((0.0, 1.0, 2.0), silent_from("b", cut))

    assert cluster.out() == {"gate-b", "cart-b"}
    assert {proposal.reasons[0].code for proposal in taken} == {ReasonCode.ZONE_DOWN}


def test_one_witness_and_a_silent_vantage_point_do_not_prove_a_single_pod_dead() -> None:
    cluster = Cluster()

    assert cluster.seconds(range(10), lambda one: {"a": one.name != "cart-b", "b": None}) == []


def test_of_two_zones_cut_from_each_other_neither_is_dead() -> None:
    cluster = Cluster()
    for pods in cluster.pods.values():
        del pods[next(name for name in pods if name.endswith("-c"))]

    assert cluster.seconds(range(10), lambda one: {place: place == one.zone for place in "ab"}) == []


def test_a_pod_that_answers_again_comes_back_after_three_seconds() -> None:
    cluster = Cluster()
    cluster.seconds((0.0, 1.0), only("cart-a"))

    assert cluster.seconds((2.0, 3.0)) == []
    (back,) = cluster.second(4.0)

    assert back.action == SetTraffic(CART, "cart-a", on=True)
    assert cluster.out() == set()
    cluster.second(5.0)
    assert fast_lane.leaving(cluster.memory) == {}


def test_a_drain_is_renewed_while_the_pod_is_dead_and_not_without_evidence() -> None:
    cluster = Cluster()
    cluster.seconds((0.0, 1.0), only("cart-a"))  # until 121 s

    renewed = cluster.seconds(range(2, 100), only("cart-a"))
    assert [proposal.action for proposal in renewed] == [SetTraffic(CART, "cart-a", on=False, expires_at_s=211.0)]

    silent = {"a": None, "b": None}
    assert cluster.seconds(range(100, 300), lambda one: silent if one.name == "cart-a" else UP) == []


def test_stores_and_low_ladders_are_left_alone() -> None:
    low = Cluster(highest=Rung.REWEIGHT)
    store = Cluster()
    store.policies = PolicySet({CART: WorkloadPolicy(CART, stateless=False)})

    assert low.seconds(range(5), only("cart-a")) == []
    assert store.seconds(range(5), only("cart-a")) == []


def test_pods_that_are_not_endpoints_are_not_taken_out() -> None:
    cluster = Cluster()
    cluster.pods[CART]["cart-a"] = pod("cart-a", "a", ready_at_s=None)
    cluster.pods[CART]["cart-b"] = pod("cart-b", "b", deleting=True)

    assert cluster.seconds(range(5), only("cart-a")) == []
    assert cluster.seconds(range(5, 10), only("cart-b")) == []


def test_a_dead_zone_is_shifted_where_policies_ask_for_it_and_comes_back() -> None:
    cluster = Cluster(highest=Rung.SHIFT_ZONE)

    (shift,) = cluster.seconds((0.0, 1.0, 2.0), of_zone("b"))
    assert shift.action == ShiftZone("b", (GATE, CART), 601.0)

    assert cluster.seconds(range(3, 32)) == []  # b answers, for 29 seconds so far
    (restore,) = cluster.second(32.0)
    assert restore.action == RestoreZone("b", (GATE, CART))


def test_a_zone_whose_pods_were_all_evicted_comes_back_with_its_nodes() -> None:
    cluster = Cluster(highest=Rung.SHIFT_ZONE)
    cluster.seconds((0.0, 1.0, 2.0), of_zone("b"))
    for pods in cluster.pods.values():
        pods.pop(next(name for name in pods if name.endswith("-b")))

    cluster.nodes["b"] = replace(cluster.nodes["b"], ready=False)
    assert cluster.seconds(range(3, 60)) == []
    cluster.nodes["b"] = replace(cluster.nodes["b"], ready=True)
    assert cluster.seconds(range(60, 89)) == []
    (restore,) = cluster.second(89.0)
    assert restore.action == RestoreZone("b", (GATE, CART))


def test_a_second_zone_is_not_shifted_while_one_is() -> None:
    cluster = Cluster(highest=Rung.SHIFT_ZONE)
    cluster.seconds((0.0, 1.0), of_zone("b"))

    later = cluster.seconds(range(2, 20), of_zone("c"))

    assert not any(isinstance(proposal.action, ShiftZone) for proposal in later)


def test_a_zone_with_a_working_primary_is_not_cordoned_by_the_fast_lane() -> None:
    cluster = Cluster(highest=Rung.SHIFT_ZONE)
    primary = MemberSeen("pg-0", "node-b", "b", healthy=True)
    cluster.databases = (DatabaseSeen("db", "shop/pg", primary),)

    cluster.seconds((0.0, 1.0), of_zone("b"))

    assert cluster.out() == {"gate-b", "cart-b"}  # pod by pod instead


FAILING: dict[str, Any] = {"gateway_failed_ratio": 0.2, "gateway_rate_rps": 100.0}
CALM: dict[str, Any] = {"gateway_failed_ratio": 0.0, "gateway_rate_rps": 100.0}


def busy(cluster: Cluster) -> Cluster:
    for name, one in cluster.pods[CART].items():
        cluster.pods[CART][name] = replace(one, cpu_cores=0.95)
    return cluster


def test_an_overloaded_gateway_is_dimmed_harder_and_lifted_in_steps() -> None:
    cluster = busy(Cluster(brownout=True))

    dimmed = cluster.seconds(range(8), **FAILING)
    lifted = cluster.seconds(range(8, 68), **CALM)

    assert [(one.action.ceiling, one.action.expires_at_s) for one in dimmed if isinstance(one.action, SetBrownout)] == [
        (0.5, 61.0),  # the second second
        (0.2, 66.0),  # five seconds later
    ]
    # Ten calm seconds for each step, counted from the last change.
    ceilings = [one.action.ceiling for one in lifted if isinstance(one.action, SetBrownout)]
    assert ceilings == pytest.approx([0.45, 0.70, 0.95, 1.0])


def ceilings(proposals: Sequence[Proposal]) -> list[float]:
    return [one.action.ceiling for one in proposals if isinstance(one.action, SetBrownout)]


def test_a_brownout_that_does_not_help_is_lifted_and_not_repeated_for_five_minutes() -> None:
    cluster = busy(Cluster(brownout=True))

    first = cluster.seconds(range(60), **FAILING)
    later = cluster.seconds(range(60, 330), **FAILING)

    # Dimmed in the second second; twenty seconds later a fifth of the requests fails as before.
    assert ceilings(first) == [0.5, 0.2, 1.0]
    assert first[-1].reasons == (Reason(ReasonCode.BROWNOUT_FUTILE, {"failed_ratio": 0.2, "seconds": 20.0}),)
    assert ceilings(later) == [0.5, 0.2]  # from second 321 on


def test_a_gateway_asked_for_more_than_ready_pods_carry_is_dimmed_before_anything_fails() -> None:
    # 3 pods × 40 requests/s; 100 were known, 150 in each of the last 10 s are at least 136 and surely more than 120.
    cluster = Cluster(brownout=True)
    cluster.means = Means(capacity={GATE: Capacity(40.0, 0.0, CapacitySource.CPU)})
    surging = {**CALM, "gateway_rate_rps": 150.0, "gateway_recent_rps": {GATE: (150.0,) * 10}}

    cluster.second(0.0, **CALM, gateway_recent_rps={GATE: (100.0,) * 10})
    raised, dimmed = cluster.second(1.0, **surging)
    cluster.pods[GATE] = {f"gate-{zone}{n}": pod(f"gate-{zone}{n}", zone) for zone in ZONES for n in (1, 2)}
    lifted = cluster.seconds(range(2, 62), **surging)

    assert isinstance(raised.action, SetScale)
    # Of the work 1 − 120 / 136 = 12 % is too much; optional content is 30 % of it.
    assert dimmed.action == SetBrownout(GATE, 0.6, expires_at_s=61.0)
    assert dimmed.reasons[0].code == ReasonCode.CAPACITY_LATE
    assert ceilings(lifted) == pytest.approx([0.85, 1.0])


def test_failures_without_load_are_not_dimmed() -> None:
    assert Cluster(brownout=True).seconds(range(10), **FAILING) == []


def test_a_gateway_that_does_not_report_is_not_dimmed() -> None:
    cluster = busy(Cluster(brownout=True))

    assert cluster.seconds(range(10), gateway_failed_ratio=None, gateway_rate_rps=None) == []


def test_brownout_is_opt_in() -> None:
    assert busy(Cluster()).seconds(range(10), **FAILING) == []
