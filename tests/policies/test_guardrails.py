"""The brakes: what each of them stops, and that undoing is never stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.decision import (
    DetachPod,
    EvictPod,
    Proposal,
    Reason,
    ReasonCode,
    ReattachPod,
    RestoreZone,
    SetBrownout,
    SetFloor,
    SetTraffic,
    SetWeights,
    ShiftZone,
    SwitchOver,
)
from policies.guardrails import GuardrailMemory, healthy_node_ratio, is_contested, judge, withdraw
from policies.model import (
    FastSeen,
    Guardrails,
    HealingPolicy,
    Mode,
    NodeSeen,
    Observation,
    PodSeen,
    PolicySet,
    ProbeSeen,
    Rung,
    WorkloadPolicy,
    WorkloadSeen,
)
from policies.rotation import drain_cap

CART, GATE = "shop/cart", "shop/gate"
NODES = (NodeSeen("n0", "a", True), NodeSeen("n1", "b", True), NodeSeen("n2", "c", True))


def pod(number: int, *, traffic_on: bool = True, detached: bool = False, node: str | None = None) -> PodSeen:
    zone = "abc"[number % 3]
    place = node or f"n{number % 3}"
    return PodSeen(f"p{number}", place, zone, -1000.0, ready_at_s=-900.0, traffic_on=traffic_on, detached=detached)


def workload(name: str = CART, pods: int | tuple[PodSeen, ...] = 4, **known: object) -> WorkloadSeen:
    several = tuple(pod(number) for number in range(pods)) if isinstance(pods, int) else pods
    return replace(WorkloadSeen(name, len(several), several, hpa_min=2), **known)  # type: ignore[arg-type]


def look(*workloads: WorkloadSeen, **known: object) -> Observation:
    seen = Observation(0.0, workloads or (workload(),), NODES, metrics_age_s=5.0)
    return replace(seen, **known)  # type: ignore[arg-type]


def fast_look(*workloads: WorkloadSeen, dead: tuple[str, ...] = ()) -> FastSeen:
    probes = tuple(
        ProbeSeen(seen.name, one.name, one.node, one.zone, dict.fromkeys("ab", one.name not in dead))
        for seen in workloads
        for one in seen.pods
    )
    return FastSeen(0.0, probes, NODES, {seen.name: seen for seen in workloads})


def policies(
    mode: Mode = Mode.ENFORCE, highest: Rung = Rung.SHIFT_ZONE, kill_switch: bool = False, **brakes: object
) -> PolicySet:
    healing = HealingPolicy(highest_rung=highest)
    guardrails = replace(Guardrails(), **brakes)  # type: ignore[arg-type]
    return PolicySet(
        {name: WorkloadPolicy(name, mode, healing=healing, guardrails=guardrails) for name in (CART, GATE)},
        kill_switch=kill_switch,
    )


def drain(name: str = "p0", where: str = CART, confidence: float = 0.9) -> Proposal:
    action = SetTraffic(where, name, on=False, expires_at_s=600.0)
    return Proposal(where, Rung.DRAIN, action, confidence, (Reason(ReasonCode.FAILURE_EXPECTED),), disruptive=True)


def detach(name: str = "p0", where: str = CART) -> Proposal:
    return Proposal(where, Rung.REPLACE, DetachPod(where, name, 600.0), 0.9, (), disruptive=True)


def dead_drain(name: str, code: ReasonCode = ReasonCode.PROBES_FAILED) -> Proposal:
    return replace(drain(name), reasons=(Reason(code),), fast=True)


def undrain(name: str = "p0") -> Proposal:
    return Proposal(CART, Rung.DRAIN, SetTraffic(CART, name, on=True), 1.0, (), disruptive=False)


def floor(value: int = 5) -> Proposal:
    return Proposal(CART, Rung.PRE_SCALE, SetFloor(CART, value, 300.0), 0.9, (), disruptive=False)


def dim(ceiling: float = 0.5, *, fast: bool = False, at_s: float = 0.0) -> Proposal:
    action = SetBrownout(CART, ceiling, at_s + 60.0)
    return Proposal(CART, Rung.REWEIGHT, action, 0.9, (), disruptive=ceiling < 1.0, fast=fast)


def reweight() -> Proposal:
    return Proposal(CART, Rung.REWEIGHT, SetWeights(CART, {"p0": 0.5}, 120.0), 0.9, (), disruptive=False)


def stopped_by(
    proposal: Proposal,
    seen: Observation | FastSeen,
    rules: PolicySet | None = None,
    memory: GuardrailMemory | None = None,
    now_s: float = 0.0,
) -> ReasonCode | None:
    accepted, vetoes, _ = judge((proposal,), seen, rules or policies(), memory or GuardrailMemory(), now_s)
    assert len(accepted) + len(vetoes) == 1
    return vetoes[0].reason.code if vetoes else None


def test_lets_a_justified_drain_through() -> None:
    assert stopped_by(drain(), look()) is None


@pytest.mark.parametrize(
    ("expected", "seen", "rules"),
    [
        pytest.param(ReasonCode.KILL_SWITCH, look(), policies(kill_switch=True), id="kill-switch"),
        pytest.param(ReasonCode.PAUSED, look(), policies(paused=True), id="policy-paused"),
        pytest.param(ReasonCode.PAUSED, look(workload(paused=True)), policies(), id="workload-paused"),
        pytest.param(ReasonCode.ROLLOUT, look(workload(rollout_in_progress=True)), policies(), id="rollout"),
        pytest.param(ReasonCode.NO_METRICS, look(metrics_age_s=None), policies(), id="no-metrics"),
        pytest.param(ReasonCode.NO_METRICS, look(metrics_age_s=91.0), policies(), id="old-metrics"),
        pytest.param(ReasonCode.STALE_OBJECTS, look(api_ok=False), policies(), id="stale-objects"),
        pytest.param(ReasonCode.STALE_OBJECTS, look(workload(GATE)), policies(), id="workload-not-seen"),
        pytest.param(ReasonCode.RUNG_NOT_ALLOWED, look(), policies(highest=Rung.REWEIGHT), id="rung"),
        pytest.param(
            ReasonCode.FOREIGN_CORDON,
            look(nodes=(replace(NODES[0], cordoned=True), *NODES[1:])),
            policies(),
            id="foreign-cordon",
        ),
        # Of four nodes in two zones two are down, one in each: no zone failed as a whole, 2 of 4 is below 51 %.
        pytest.param(
            ReasonCode.CLUSTER_UNHEALTHY,
            look(
                nodes=tuple(NodeSeen(f"m{number}", "ab"[number % 2], ready=number >= 2) for number in range(4)),
            ),
            policies(),
            id="half-of-the-cluster-down",
        ),
    ],
)
def test_each_brake_stops_a_drain(expected: ReasonCode, seen: Observation, rules: PolicySet) -> None:
    assert stopped_by(drain(), seen, rules) is expected


def test_our_own_cordon_is_nobody_elses_work() -> None:
    ours = replace(NODES[0], cordoned=True, cordoned_by_us=True)

    assert stopped_by(drain(), look(nodes=(ours, *NODES[1:]))) is None


def test_a_drain_needs_the_confidence_of_its_rung() -> None:
    # Replacing needs 0.60 by default, draining five sixths of that: 0.50.
    assert stopped_by(drain(confidence=0.49), look()) is ReasonCode.CONFIDENCE_TOO_LOW
    assert stopped_by(drain(confidence=0.50), look()) is None


@pytest.mark.parametrize("undo", [undrain(), Proposal(CART, Rung.REPLACE, ReattachPod(CART, "p0"), 1.0, (), False),
                                  Proposal(CART, Rung.SHIFT_ZONE, RestoreZone("a", (CART,)), 1.0, (), False),
                                  dim(1.0)])  # fmt: skip
def test_undoing_is_never_stopped(undo: Proposal) -> None:
    seen = look(workload(rollout_in_progress=True, paused=True), api_ok=False, metrics_age_s=None)

    assert stopped_by(undo, seen, policies(kill_switch=True, paused=True)) is None


def test_the_kill_switch_stops_raising_a_floor_and_lets_it_come_down() -> None:
    off = policies(kill_switch=True)

    assert stopped_by(floor(3), look(), off) is ReasonCode.KILL_SWITCH
    assert stopped_by(floor(1), look(), off) is None  # two stand


def test_floors_need_no_token_and_go_first() -> None:
    accepted, vetoes, _ = judge((drain(), floor()), look(), policies(), GuardrailMemory(), 0.0)

    assert [type(proposal.action) for proposal in accepted] == [SetFloor, SetTraffic]
    assert vetoes == ()


def test_one_disruptive_act_per_workload_at_a_time() -> None:
    accepted, vetoes, memory = judge((drain("p0"), detach("p1")), look(), policies(), GuardrailMemory(), 0.0)

    assert len(accepted) == 1
    assert vetoes[0].reason.code is ReasonCode.TOKEN_TAKEN
    assert stopped_by(detach("p2"), look(), memory=memory, now_s=5.0) is ReasonCode.TOKEN_TAKEN


def test_other_workloads_have_tokens_of_their_own() -> None:
    seen = look(workload(CART), workload(GATE))

    accepted, _, _ = judge((drain(where=CART), drain(where=GATE)), seen, policies(), GuardrailMemory(), 0.0)

    assert len(accepted) == 2


def test_the_next_steps_of_a_replacement_need_no_second_token() -> None:
    rules, others = policies(), tuple(pod(number) for number in range(1, 6))
    _, _, memory = judge((detach("p0"),), look(workload(pods=5)), rules, GuardrailMemory(), 0.0)

    detached = look(workload(pods=(pod(0, detached=True), *others)))
    accepted, vetoes, memory = judge((drain("p0", confidence=0.1),), detached, rules, memory, 15.0)
    assert (len(accepted), vetoes) == (1, ())

    drained = look(workload(pods=(pod(0, detached=True, traffic_on=False), *others)))
    evict = Proposal(CART, Rung.REPLACE, EvictPod(CART, "p0"), 0.9, (), disruptive=True)
    assert stopped_by(evict, drained, rules, memory, 30.0) is None


def test_a_running_replacement_stops_at_a_rollout() -> None:
    _, _, memory = judge((detach("p0"),), look(), policies(), GuardrailMemory(), 0.0)
    detached = workload(rollout_in_progress=True, pods=(pod(0, detached=True), pod(1), pod(2), pod(3)))

    assert stopped_by(drain("p0"), look(detached), memory=memory, now_s=60.0) is ReasonCode.ROLLOUT


def test_an_act_whose_effect_never_came_gives_its_token_back() -> None:
    _, _, memory = judge((drain("p0"),), look(), policies(cooldown_s=0.0), GuardrailMemory(), 0.0)

    assert stopped_by(detach("p1"), look(), policies(cooldown_s=0.0), memory, 19.0) is ReasonCode.TOKEN_TAKEN
    assert stopped_by(detach("p1"), look(), policies(cooldown_s=0.0), memory, 21.0) is None


def test_cooldown_between_two_acts_on_one_workload() -> None:
    _, _, memory = judge((drain("p0"),), look(), policies(), GuardrailMemory(), 0.0)

    assert stopped_by(detach("p1"), look(), memory=memory, now_s=119.0) is ReasonCode.COOLDOWN
    assert stopped_by(detach("p1"), look(), memory=memory, now_s=121.0) is None


def test_a_storm_stops_everything_disruptive_everywhere() -> None:
    # Two workloads: the limit is the larger of 3 acts and 25 % of 2.
    storm = GuardrailMemory(acts_at_s=(0.0, 100.0, 200.0))
    rules = policies(storm_acts=3)

    assert stopped_by(drain(), look(), rules, storm, 599.0) is ReasonCode.STORM
    assert stopped_by(drain(), look(), rules, storm, 601.0) is None  # the first has left the window


def test_acts_of_a_policy_that_only_observes_leave_no_trace() -> None:
    accepted, _, memory = judge((drain(),), look(), policies(mode=Mode.OBSERVE), GuardrailMemory(), 0.0)

    assert len(accepted) == 1  # it is shown
    assert memory == GuardrailMemory()


def test_even_a_policy_that_only_observes_is_shown_one_act_at_a_time() -> None:
    _, vetoes, _ = judge((drain("p0"), drain("p1")), look(), policies(mode=Mode.OBSERVE), GuardrailMemory(), 0.0)

    assert [veto.reason.code for veto in vetoes] == [ReasonCode.TOKEN_TAKEN]


def test_a_refused_write_gives_token_cooldown_and_count_back() -> None:
    _, _, memory = judge((drain(),), look(), policies(), GuardrailMemory(), 0.0)

    assert withdraw(memory, drain().action) == GuardrailMemory()


def test_weights_wait_while_something_disruptive_runs() -> None:
    accepted, vetoes, _ = judge((reweight(), drain()), look(), policies(), GuardrailMemory(), 0.0)

    assert [proposal.rung for proposal in accepted] == [Rung.DRAIN]
    assert vetoes[0].reason.code is ReasonCode.TOKEN_TAKEN


@pytest.mark.parametrize(("pods", "cap"), [(1, 1), (2, 1), (3, 1), (9, 1), (10, 1), (19, 1), (20, 2), (29, 2), (30, 3)])
def test_the_drain_cap_is_the_larger_of_a_tenth_and_one(pods: int, cap: int) -> None:
    assert drain_cap(pods, 0.10) == cap


def test_the_drain_cap_counts_pods_that_are_out_already() -> None:
    # Of 3 pods one is out: a second would be over the cap of one.
    seen = look(workload(pods=(pod(0, traffic_on=False), pod(1), pod(2))))

    assert stopped_by(drain("p1"), seen) is ReasonCode.DRAIN_CAP


@pytest.mark.parametrize(("pods", "stopped"), [(1, ReasonCode.LAST_ENDPOINT), (2, None), (3, None)])
def test_small_workloads_keep_an_endpoint(pods: int, stopped: ReasonCode | None) -> None:
    assert stopped_by(drain("p0"), look(workload(pods=pods))) is stopped


def test_an_endpoint_on_a_dead_node_does_not_count_as_one_that_is_left() -> None:
    seen = look(workload(pods=2), nodes=(NODES[0], replace(NODES[1], ready=False), NODES[2]))

    assert stopped_by(drain("p0"), seen) is ReasonCode.LAST_ENDPOINT


def test_a_drain_leaves_more_endpoints_than_a_budget_lets_others_evict() -> None:
    # Three pods, minAvailable 1: two may be evicted, so two endpoints left could all go.
    assert stopped_by(drain(), look(workload(pods=3, disruptions_allowed=2))) is ReasonCode.LAST_ENDPOINT
    assert stopped_by(drain(), look(workload(pods=4, disruptions_allowed=2))) is None


def test_dead_pods_of_a_lost_node_go_whatever_cap_token_and_storm_say() -> None:
    # Four pods, two of them dead with their node: a tenth would be one.
    seen = fast_look(workload(pods=4), dead=("p0", "p3"))
    stormy = GuardrailMemory(acts_at_s=tuple(float(-number) for number in range(50)), last_act_s={CART: -1.0})

    accepted, vetoes, memory = judge(
        (dead_drain("p0", ReasonCode.NODE_DOWN), dead_drain("p3", ReasonCode.NODE_DOWN)), seen, policies(), stormy, 0.0
    )

    assert (len(accepted), vetoes) == (2, ())
    assert len(memory.acts_at_s) == 51  # a node is one act
    assert memory.in_flight == {}


def test_single_dead_pods_still_count_against_the_cap() -> None:
    seen = fast_look(workload(pods=4), dead=("p0", "p3"))

    accepted, vetoes, _ = judge((dead_drain("p0"), dead_drain("p3")), seen, policies(), GuardrailMemory(), 0.0)

    assert len(accepted) == 1
    assert vetoes[0].reason.code is ReasonCode.DRAIN_CAP


def test_the_last_endpoint_stays_even_when_all_are_dead() -> None:
    seen = fast_look(workload(pods=2), dead=("p0", "p1"))

    accepted, vetoes, _ = judge(
        (dead_drain("p0", ReasonCode.ZONE_DOWN), dead_drain("p1", ReasonCode.ZONE_DOWN)),
        seen,
        policies(),
        GuardrailMemory(),
        0.0,
    )

    assert len(accepted) == 1
    assert vetoes[0].reason.code is ReasonCode.LAST_ENDPOINT


def test_a_drain_asked_for_and_not_seen_yet_counts_as_out() -> None:
    seen = fast_look(workload(pods=2), dead=("p0", "p1"))
    _, _, memory = judge((dead_drain("p0", ReasonCode.NODE_DOWN),), seen, policies(), GuardrailMemory(), 0.0)

    assert stopped_by(dead_drain("p1", ReasonCode.NODE_DOWN), seen, memory=memory, now_s=1.0) is (
        ReasonCode.LAST_ENDPOINT
    )


def test_a_zone_shift_goes_on_without_the_workloads_it_would_empty() -> None:
    here_only = replace(workload(GATE), pods=(pod(0), pod(3)))  # both in zone a
    action = ShiftZone("a", (CART, GATE), 600.0)
    shift = Proposal(GATE, Rung.SHIFT_ZONE, action, 0.9, (Reason(ReasonCode.ZONE_DOWN),), disruptive=True)

    accepted, vetoes, memory = judge((shift,), look(workload(CART), here_only), policies(), GuardrailMemory(), 0.0)

    assert accepted[0].action == ShiftZone("a", (CART,), 600.0)
    assert accepted[0].workload == CART
    assert vetoes[0].reason.code is ReasonCode.LAST_ENDPOINT
    assert memory.in_flight.keys() == {CART}


def test_a_switchover_passes_for_a_database_seen_only_as_members() -> None:
    action = SwitchOver("db", CART, "pg-0", "pg-1")
    switch = Proposal(CART, Rung.SWITCH_OVER, action, 0.9, (), disruptive=True)

    assert stopped_by(switch, look(workload(GATE))) is None


def test_a_brownout_is_renewed_and_lowered_without_a_new_token() -> None:
    _, _, memory = judge((dim(0.5),), look(), policies(), GuardrailMemory(), 0.0)

    accepted, vetoes, memory = judge((dim(0.3, at_s=15.0),), look(), policies(), memory, 15.0)

    assert (len(accepted), vetoes) == (1, ())
    assert memory.dimmed[CART].ceiling == 0.3


def test_a_lane_does_not_lift_the_others_ceiling() -> None:
    _, _, memory = judge((dim(0.3, fast=True),), look(), policies(), GuardrailMemory(), 0.0)

    assert stopped_by(dim(0.6, at_s=15.0), look(), memory=memory, now_s=15.0) is ReasonCode.TOKEN_TAKEN
    assert stopped_by(dim(1.0, at_s=15.0), look(), memory=memory, now_s=15.0) is ReasonCode.TOKEN_TAKEN
    assert stopped_by(dim(0.6, at_s=61.0), look(), memory=memory, now_s=61.0) is None  # it expired


def test_a_gateway_is_dimmed_even_while_a_pod_is_replaced() -> None:
    _, _, memory = judge((detach("p0"),), look(), policies(), GuardrailMemory(), 0.0)

    assert stopped_by(dim(0.5), look(), memory=memory, now_s=5.0) is None
    assert stopped_by(dim(0.5, fast=True), fast_look(workload()), memory=memory, now_s=5.0) is None


@pytest.mark.parametrize("fast", [False, True])
def test_a_pod_of_a_dimmed_gateway_is_healed(fast: bool) -> None:
    seen = fast_look(workload()) if fast else look()
    _, _, memory = judge((dim(0.5, fast=fast),), seen, policies(), GuardrailMemory(), 0.0)

    assert stopped_by(detach("p0"), look(), memory=memory, now_s=5.0) is None
    assert stopped_by(reweight(), look(), memory=memory, now_s=5.0) is None
    together, _, _ = judge((dim(0.5), detach("p0")), look(), policies(), GuardrailMemory(), 0.0)
    assert len(together) == 2


def test_taking_out_a_dead_pod_starts_no_pause() -> None:
    _, _, memory = judge((dead_drain("p3"),), fast_look(workload()), policies(), GuardrailMemory(), 0.0)

    assert memory.acts_at_s == (0.0,)  # it counts towards a storm
    assert memory.last_act_s == {}


def test_two_reversals_by_others_within_ten_minutes_leave_the_workload_to_them() -> None:
    rules, memory = policies(cooldown_s=0.0), GuardrailMemory()
    off = look(workload(pods=(pod(0, traffic_on=False), pod(1), pod(2))))
    for start_s in (0.0, 60.0):
        _, _, memory = judge((drain("p0"),), look(), rules, memory, start_s)
        _, _, memory = judge((), off, rules, memory, start_s + 15.0)
        _, _, memory = judge((), look(), rules, memory, start_s + 30.0)  # on again, not by us

    assert is_contested(memory, CART, 90.0)
    assert stopped_by(drain("p1"), look(), rules, memory, 200.0) is ReasonCode.CONTESTED
    assert stopped_by(drain("p1"), look(), rules, memory, 90.0 + 3601.0) is None


def test_our_own_undo_is_no_reversal() -> None:
    rules, memory = policies(cooldown_s=0.0), GuardrailMemory()
    off = look(workload(pods=(pod(0, traffic_on=False), pod(1), pod(2))))
    for start_s in (0.0, 60.0):
        _, _, memory = judge((drain("p0"),), look(), rules, memory, start_s)
        _, _, memory = judge((undrain("p0"),), off, rules, memory, start_s + 15.0)
        _, _, memory = judge((), look(), rules, memory, start_s + 30.0)

    assert not is_contested(memory, CART, 90.0)


@pytest.mark.parametrize(
    ("ready_by_zone", "ratio"),
    [
        pytest.param({"a": [True, True], "b": [True, True]}, 1.0, id="all-ready"),
        pytest.param({"a": [False, False], "b": [True, True]}, 1.0, id="a-lost-zone-does-not-count"),
        pytest.param({"a": [False, True], "b": [True, True]}, 0.75, id="one-node"),
        pytest.param({"a": [False], "b": [False], "c": [True]}, 0.5, id="only-one-zone-is-forgiven"),
        pytest.param({"a": [False, True, True]}, 2 / 3, id="one-zone-only"),
        pytest.param({"a": [None, True]}, 0.5, id="unknown-is-not-ready"),
    ],
)
def test_cluster_health_leaves_one_failed_zone_out(ready_by_zone: dict[str, list[bool | None]], ratio: float) -> None:
    nodes = [
        NodeSeen(f"{zone}{i}", zone, ready) for zone, states in ready_by_zone.items() for i, ready in enumerate(states)
    ]

    assert healthy_node_ratio(nodes) == pytest.approx(ratio)


def test_without_sight_of_nodes_their_health_stops_nothing() -> None:
    assert healthy_node_ratio(()) is None
    assert stopped_by(drain(), look(nodes=())) is None
