"""Switchovers before the primary fails, and zone shifts after it has moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from forecasting.forecast import LEVELS, Floats, Forecast
from policies import failover, zone_shift
from policies.decision import Proposal, ReasonCode, RestoreZone, ShiftZone, SwitchOver
from policies.failover import FailoverMemory
from policies.model import (
    DatabaseSeen,
    HealingPolicy,
    MemberSeen,
    NodeSeen,
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

DB = "shop/pg"
PRIMARY = MemberSeen("pg-0", "node-a", "a", healthy=True)
STANDBY = MemberSeen("pg-1", "node-b", "b", healthy=True, synchronous=True, lag_s=0.0)
NODES = tuple(NodeSeen(f"node-{zone}", zone, True) for zone in "abc")
POLICIES = PolicySet({DB: WorkloadPolicy(DB, stateless=False)})
SWITCH = SwitchOver("db", DB, "pg-0", "pg-1")


def database(**known: object) -> DatabaseSeen:
    return replace(DatabaseSeen("db", DB, PRIMARY, (STANDBY,)), **known)  # type: ignore[arg-type]


def as_forecast(names: tuple[str, ...], paths: Floats, at_s: float, step_s: float) -> Forecast:
    unknown = np.full(len(names), np.nan)
    quantiles = np.quantile(paths, LEVELS, axis=1).transpose(1, 2, 0)
    return Forecast(names, LEVELS, quantiles, paths, at_s, at_s, step_s, "test", unknown, unknown)


def disks(minutes_left: Mapping[str, float], at_s: float) -> tuple[SignalHistory, Forecast]:
    """Disks of 1000 MiB that fill at 10 a minute and have so many minutes left."""
    targets = tuple(SignalTarget(SignalKind.DISK, DB, member) for member in minutes_left)
    level = 1000.0 - 10.0 * np.array(list(minutes_left.values()))
    paths = level[:, None, None] + np.zeros((1, 20, 1)) + 10.0 * np.arange(1.0, 61.0)
    history = SignalHistory(targets, level[:, None] * np.ones(10), np.full(len(targets), 1000.0), 60.0, at_s)
    return history, as_forecast(tuple(target.key for target in targets), paths, at_s, 60.0)


class Operator:
    """Drives failover over looks 15 s apart."""

    def __init__(self) -> None:
        self.memory = FailoverMemory()
        self.reasons: list[ReasonCode] = []

    def look(
        self,
        now_s: float,
        seen_database: DatabaseSeen | None = None,
        minutes_left: Mapping[str, float] | None = None,
        nodes: tuple[NodeSeen, ...] = NODES,
    ) -> list[Proposal]:
        history, signals = disks(minutes_left, now_s) if minutes_left else (None, None)
        seen = Observation(now_s, (), nodes, (seen_database or database(),), signals=history, metrics_age_s=5.0)
        proposals, reasons, self.memory = failover.propose(seen, signals, None, {}, POLICIES, self.memory, now_s)
        self.reasons = [reason.code for reason in reasons.get(DB, ())]
        return list(proposals)

    def looks(self, *times_s: float, minutes_left: Mapping[str, float], **known: object) -> list[Proposal]:
        found = [one for now_s in times_s for one in self.look(now_s, database(**known), minutes_left)]
        return found


# The primary has to last margin 120 + confirming 55 + switching 30 = 205 s.
FILLING = {"pg-0": 2.5, "pg-1": 50.0}


def test_a_primary_whose_disk_will_fill_is_switched_over_once_two_forecasts_agree() -> None:
    operator = Operator()

    assert operator.looks(0.0, 15.0, 30.0, 45.0, minutes_left=FILLING) == []
    assert operator.reasons == [ReasonCode.PRIMARY_AT_RISK]
    (switch,) = operator.looks(60.0, minutes_left=FILLING)

    assert switch.action == SWITCH
    assert switch.disruptive


def test_a_disk_that_lasts_another_ten_minutes_is_no_reason() -> None:
    assert Operator().looks(0.0, 60.0, 120.0, minutes_left={"pg-0": 10.0, "pg-1": 50.0}) == []


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"long_transaction": True}, id="long-transaction"),
        pytest.param({"standbys": ()}, id="no-standby"),
        pytest.param({"standbys": (replace(STANDBY, synchronous=False),)}, id="asynchronous"),
        pytest.param({"standbys": (replace(STANDBY, healthy=False),)}, id="sick"),
        pytest.param({"standbys": (replace(STANDBY, healthy=None),)}, id="health-unknown"),
        pytest.param({"standbys": (replace(STANDBY, lag_s=5.1),)}, id="lagging"),
        pytest.param({"standbys": (replace(STANDBY, lag_s=None),)}, id="lag-unknown"),
    ],
)
def test_refuses_without_a_synchronous_healthy_candidate(known: dict[str, object]) -> None:
    operator = Operator()

    assert operator.looks(0.0, 60.0, 75.0, minutes_left=FILLING, **known) == []
    assert ReasonCode.NO_CANDIDATE in operator.reasons


def test_does_not_switch_to_a_member_whose_disk_fills_as_well() -> None:
    operator = Operator()

    assert operator.looks(0.0, 60.0, minutes_left={"pg-0": 2.5, "pg-1": 2.6}) == []
    assert ReasonCode.NO_CANDIDATE in operator.reasons


def test_a_candidate_on_a_cordoned_node_is_none() -> None:
    operator = Operator()
    cordoned = (NODES[0], replace(NODES[1], cordoned=True), NODES[2])
    operator.look(0.0, minutes_left=FILLING)

    assert operator.look(60.0, minutes_left=FILLING, nodes=cordoned) == []
    assert ReasonCode.NO_CANDIDATE in operator.reasons


def test_one_switchover_an_hour() -> None:
    operator = Operator()
    operator.looks(0.0, 60.0, minutes_left=FILLING)
    swapped = {
        "primary": replace(STANDBY, synchronous=False),
        "standbys": (replace(PRIMARY, synchronous=True, lag_s=0.0),),
    }
    filling = {"pg-1": 2.5, "pg-0": 50.0}

    assert operator.looks(120.0, 180.0, 3600.0, minutes_left=filling, **swapped) == []
    assert ReasonCode.COOLDOWN in operator.reasons
    (switch,) = operator.looks(3661.0, minutes_left=filling, **swapped)
    assert switch.action == SwitchOver("db", DB, "pg-1", "pg-0")


def test_a_switchover_that_came_to_nothing_is_tried_three_times() -> None:
    operator = Operator()

    asked = operator.looks(*range(0, 300, 15), minutes_left=FILLING)

    assert [one.action for one in asked] == [SWITCH] * 3  # at 60, 90 and 120 s


def test_nothing_is_asked_while_one_is_under_way() -> None:
    assert Operator().looks(0.0, 60.0, 75.0, minutes_left=FILLING, switching=True) == []


@pytest.mark.parametrize("primary", [None, replace(PRIMARY, healthy=False), replace(PRIMARY, healthy=None)])
def test_a_dead_or_unknown_primary_is_left_to_patroni(primary: MemberSeen | None) -> None:
    assert Operator().looks(0.0, 60.0, 75.0, minutes_left=FILLING, primary=primary) == []


def test_a_primary_leaves_a_node_that_reports_itself_down() -> None:
    operator = Operator()
    down = (replace(NODES[0], ready=False), *NODES[1:])

    assert operator.look(0.0, nodes=down) == []
    assert [one.action for one in operator.look(15.0, nodes=down)] == [SWITCH]


def test_a_node_of_unknown_state_is_no_evidence() -> None:
    operator = Operator()
    unknown = (replace(NODES[0], ready=None), *NODES[1:])

    assert [one for now_s in range(0, 120, 15) for one in operator.look(now_s, nodes=unknown)] == []


CART, GATE = "shop/cart", "shop/gate"


def shop(errors_in_a: float, pods_per_zone: int = 2) -> tuple[WorkloadSeen, ...]:
    def pods(name: str) -> tuple[PodSeen, ...]:
        return tuple(
            PodSeen(
                f"{name[-4:]}-{zone}{number}",
                f"node-{zone}",
                zone,
                -900.0,
                ready_at_s=-800.0,
                rate_rps=10.0,
                error_ratio=errors_in_a if zone == "a" else 0.0,
                latency_mean_s=0.1,
            )
            for zone in "abc"
            for number in range(pods_per_zone)
        )

    return tuple(WorkloadSeen(name, 3 * pods_per_zone, pods(name)) for name in (CART, GATE))


def zone_look(
    memory: FailoverMemory,
    now_s: float,
    *,
    demand_rps: float = 30.0,
    highest: Rung = Rung.SHIFT_ZONE,
    workloads: tuple[WorkloadSeen, ...] | None = None,
    **known: object,
) -> tuple[list[Proposal], list[ReasonCode], FailoverMemory]:
    names = (CART, GATE)
    policies = PolicySet(
        {name: WorkloadPolicy(name, healing=HealingPolicy(highest_rung=highest)) for name in names}
        | {DB: WorkloadPolicy(DB, stateless=False)}
    )
    demand = as_forecast(names, np.full((2, 20, 64), demand_rps), now_s, 15.0)
    seen = Observation(now_s, workloads or shop(0.5), NODES, metrics_age_s=5.0)
    seen = replace(seen, **known)  # type: ignore[arg-type]
    proposals, reasons, memory = failover.propose(
        seen, None, demand, dict.fromkeys(names, 10.0), policies, memory, now_s
    )
    return list(proposals), [reason.code for said in reasons.values() for reason in said], memory


def zone_looks(*times_s: float, **known: object) -> tuple[list[Proposal], list[ReasonCode], FailoverMemory]:
    memory, said = FailoverMemory(), list[ReasonCode]()
    for now_s in times_s:
        proposals, said, memory = zone_look(memory, now_s, **known)  # type: ignore[arg-type]
        if proposals:
            return proposals, said, memory
    return [], said, memory


def test_a_zone_whose_pods_fail_while_others_are_fine_is_shifted_after_half_a_minute() -> None:
    assert zone_looks(0.0, 15.0)[0] == []

    (shift,) = zone_looks(0.0, 15.0, 30.0)[0]

    assert shift.action == ShiftZone("a", (CART, GATE), 30.0 + 600.0)


def test_a_zone_shift_must_be_asked_for() -> None:
    assert zone_looks(0.0, 15.0, 30.0, highest=Rung.SWITCH_OVER)[0] == []


def test_a_zone_stays_when_the_others_cannot_carry_the_p90() -> None:
    # Four pods outside the zone carry 40 requests/s.
    assert len(zone_looks(0.0, 30.0, demand_rps=40.0)[0]) == 1
    proposals, said, _ = zone_looks(0.0, 30.0, demand_rps=41.0)

    assert proposals == []
    assert ReasonCode.REMAINING_ZONES_TOO_SMALL in said


def test_pods_of_a_sick_zone_are_its_own_matter_for_as_long_as_a_shift_may_take() -> None:
    _, _, memory = zone_looks(*(15.0 * look for look in range(6)), demand_rps=41.0)

    assert zone_shift.left_alone(memory.zones, 75.0) == {"a"}
    assert zone_shift.left_alone(memory.zones, 90.0) == frozenset()


def test_when_all_zones_fail_it_is_not_the_zone() -> None:
    everywhere = tuple(replace(one, pods=tuple(replace(pod, error_ratio=0.5) for pod in one.pods)) for one in shop(0.5))

    assert zone_looks(0.0, 30.0, 60.0, workloads=everywhere)[0] == []


def test_a_primary_in_the_zone_is_switched_over_before_the_zone_is_shifted() -> None:
    here, moved = database(), database(primary=STANDBY, standbys=(PRIMARY,))
    _, _, memory = zone_look(FailoverMemory(), 0.0, databases=(here,))

    first, _, memory = zone_look(memory, 30.0, databases=(here,))
    second, _, memory = zone_look(memory, 45.0, databases=(moved,))

    assert [one.action for one in first] == [SWITCH]
    assert [type(one.action) for one in second] == [ShiftZone]


def test_a_shifted_zone_comes_back_when_its_nodes_have_been_up_for_two_minutes() -> None:
    down = (replace(NODES[0], ready=False), *NODES[1:])
    _, _, memory = zone_looks(0.0, 15.0, 30.0, nodes=down, workloads=shop(0.0))
    off = tuple(
        replace(one, pods=tuple(replace(pod, traffic_on=pod.zone != "a") for pod in one.pods)) for one in shop(0.0)
    )

    assert zone_look(memory, 45.0, nodes=down, workloads=off)[0] == []
    _, _, memory = zone_look(memory, 60.0, workloads=off)
    early, _, memory = zone_look(memory, 165.0, workloads=off)
    (restore,), _, memory = zone_look(memory, 180.0, workloads=off)

    assert early == []
    assert restore.action == RestoreZone("a", (CART, GATE))


def test_a_shift_that_never_happened_is_forgotten() -> None:
    _, _, memory = zone_looks(0.0, 15.0, 30.0)

    _, _, memory = zone_look(memory, 90.0, workloads=shop(0.0))

    assert memory.zones.standing == {}
