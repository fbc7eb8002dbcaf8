import json

import pytest

from chaos.experiments.measured.decisions import acts_of, told_decisions
from chaos.experiments.problems import FolderInvalid
from foresail.explained import explained
from policies.decision import (
    Decision,
    DetachPod,
    EvictPod,
    Reason,
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
from policies.model import Mode

ZERO = 1_790_000_000.0
GATEWAY = "shop/shop-gateway"
ACTIONS = (
    SetFloor(GATEWAY, 5, ZERO + 300.0),
    SetScale(GATEWAY, 4, ZERO + 300.0),
    SetTraffic(GATEWAY, "pod-a", on=False, expires_at_s=ZERO + 60.0),
    SetTraffic(GATEWAY, "pod-a", on=True),
    DetachPod(GATEWAY, "pod-a", ZERO + 60.0),
    ReattachPod(GATEWAY, "pod-a"),
    EvictPod(GATEWAY, "pod-a"),
    ShiftZone("zone-a", (GATEWAY,), ZERO + 60.0),
    RestoreZone("zone-a", (GATEWAY,)),
    SwitchOver("postgres", "shop/shop-postgres", "shop-postgres-0", "shop-postgres-1"),
    SetBrownout(GATEWAY, 0.4, ZERO + 60.0),
    SetWeights(GATEWAY, {"pod-a": 0.5}, ZERO + 60.0),
)


def name_of(workload):
    return workload.rpartition("/")[2].removeprefix("shop-")


def decided(number, at_s, *actions, reasons=()):
    return Decision(f"d{number}", ZERO + at_s, GATEWAY, Mode.ENFORCE, actions, reasons)


def read(*decisions, refused=frozenset()):
    """As the operator tells them, through JSON."""
    lines = [json.loads(json.dumps(explained(d, refused))) for d in decisions]
    return told_decisions(lines, ZERO, name_of)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: type(a).__name__)
def test_every_action_comes_back_with_times_of_the_scenario_and_names_of_the_topology(action):
    [made] = read(decided(1, 12.0, action)).decisions

    [back] = made.actions
    assert type(back) is type(action)
    assert made.at_s == pytest.approx(12.0) and made.workload == "gateway"
    for field in ("workload", "pod", "floor", "replicas", "on", "zone", "leader", "candidate", "ceiling", "weights"):
        value = getattr(action, field, None)
        expected = name_of(value) if field == "workload" and value is not None else value
        assert getattr(back, field, None) == expected
    if getattr(action, "expires_at_s", None) is not None:
        assert back.expires_at_s == pytest.approx(action.expires_at_s - ZERO)


def test_reasons_keep_their_facts_and_moments_become_seconds_of_the_scenario():
    facts = {"demand_rps": 12.5, "at_s": ZERO + 60.0, "workload": GATEWAY}

    [made] = read(decided(1, 0.0, reasons=(Reason(ReasonCode.DEMAND_EXPECTED, facts),))).decisions

    assert made.reasons == (
        Reason(ReasonCode.DEMAND_EXPECTED, {"demand_rps": 12.5, "at_s": 60.0, "workload": "gateway"}),
    )


def test_a_decision_that_was_seen_several_times_is_told_once_and_all_in_order_of_time():
    first, second = decided(1, 5.0), decided(2, 3.0)

    assert [d.id for d in read(first, second, first).decisions] == ["d2", "d1"]


def test_what_the_cluster_did_not_take_is_no_act():
    floor = SetFloor(GATEWAY, 5, ZERO + 300.0)
    told = read(decided(1, 5.0, floor), refused=frozenset({repr(floor)}))

    assert told.refusals == {("d1", "SetFloor")}
    assert acts_of(told) == ()


def test_renewals_are_no_acts():
    told = read(
        decided(1, 0.0, SetFloor(GATEWAY, 5, ZERO + 300.0)),
        decided(2, 15.0, SetFloor(GATEWAY, 5, ZERO + 315.0)),
        decided(3, 30.0, SetFloor(GATEWAY, 6, ZERO + 330.0)),
    )

    assert [(act.at_s, act.kind, act.disruptive) for act in acts_of(told)] == [
        (0.0, "SetFloor", False),
        (30.0, "SetFloor", False),
    ]


def test_a_replacement_is_one_disruptive_act():
    told = read(
        decided(1, 0.0, DetachPod(GATEWAY, "pod-a", ZERO + 60.0)),
        decided(2, 5.0, SetTraffic(GATEWAY, "pod-a", on=False, expires_at_s=ZERO + 60.0)),
        decided(3, 9.0, EvictPod(GATEWAY, "pod-a")),
    )

    assert [(act.kind, act.disruptive) for act in acts_of(told)] == [
        ("DetachPod", True),
        ("SetTraffic", False),
        ("EvictPod", False),
    ]


def test_a_zone_that_is_shifted_again_after_it_came_back_is_an_act_again():
    shift, back = ShiftZone("zone-a", (GATEWAY,), ZERO + 60.0), RestoreZone("zone-a", (GATEWAY,))

    told = read(decided(1, 0.0, shift), decided(2, 9.0, shift), decided(3, 20.0, back), decided(4, 40.0, shift))

    assert [(act.at_s, act.kind) for act in acts_of(told)] == [
        (0.0, "ShiftZone"),
        (20.0, "RestoreZone"),
        (40.0, "ShiftZone"),
    ]


def test_lines_of_another_version_are_refused():
    line = {"id": "d1", "at": "2026-01-01T00:00:00Z", "workload": GATEWAY, "mode": "Enforce"}

    with pytest.raises(FolderInvalid, match="decision d1: not as this version tells it"):
        told_decisions([{**line, "actions": [{"kind": "SetFloor", "text": "…"}]}], ZERO, name_of)
