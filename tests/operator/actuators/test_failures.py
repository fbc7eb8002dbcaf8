"""Every act against an API server that is away, silent, unwilling or forgetful, and on behalf of a former leader."""

from __future__ import annotations

from functools import partial

import pytest
from act_stage import HPA, NOW_S, WEB, Stage, decision

from foresail.actuators.api import Api, OpenFence
from foresail.actuators.refusals import RefusalReason
from policies.decision import (
    Action,
    DetachPod,
    EvictPod,
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

UNTIL_S = NOW_S + 600.0
ACTIONS: list[Action] = [
    SetFloor(WEB, 6, UNTIL_S),
    SetScale(WEB, 6, UNTIL_S),
    SetTraffic(WEB, "web-1", on=False, expires_at_s=UNTIL_S),
    SetTraffic(WEB, "web-1", on=True),
    DetachPod(WEB, "web-1", UNTIL_S),
    ReattachPod(WEB, "web-1"),
    EvictPod(WEB, "web-1"),
    ShiftZone("a", (WEB,), UNTIL_S),
    RestoreZone("a", (WEB,)),
    SwitchOver("orders", WEB, "web-1", "web-2"),
    SetBrownout(WEB, 0.5, UNTIL_S),
    SetWeights(WEB, {"web-1": 0.5}, UNTIL_S),
]
#: Acts whose first write is a patch of one object.
PATCHES: list[Action] = [ACTIONS[0], ACTIONS[2], ACTIONS[4]]


def ids(action: Action) -> str:
    return type(action).__name__


every_action = pytest.mark.parametrize("action", ACTIONS, ids=ids)
every_patch = pytest.mark.parametrize("action", PATCHES, ids=ids)


@pytest.fixture(autouse=True)
def everything_allowed(stage: Stage) -> None:
    stage.settings |= {"zone_shift": True, "weights": True}


@every_action
def test_nothing_is_done_while_the_api_server_is_away(stage: Stage, action: Action) -> None:
    cluster = stage.cluster()
    stage.api.down()

    assert not cluster.apply(action, decision(), NOW_S)
    assert stage.why is RefusalReason.UNREACHABLE


@every_action
def test_an_api_server_that_hangs_is_given_up_on(stage: Stage, action: Action) -> None:
    stage.settings["api_timeout_s"] = 0.2
    cluster = stage.cluster()
    stage.api.hang()

    assert not cluster.apply(action, decision(), NOW_S)
    assert stage.why is RefusalReason.UNANSWERED


@every_action
def test_nothing_is_written_without_lease_time(stage: Stage, action: Action) -> None:
    cluster = stage.cluster()
    stage.fence.leads = False

    assert not cluster.apply(action, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_LEADING and stage.api.requests == []


@every_action
def test_an_unknown_workload_is_named(stage: Stage, action: Action) -> None:
    stage.api.delete("deployments", "shop", "web")

    assert not stage.cluster().apply(action, decision(), NOW_S)
    assert stage.outcomes[-1].refused is not None
    assert stage.why is RefusalReason.UNKNOWN_WORKLOAD and WEB in stage.outcomes[-1].refused.detail


@every_patch
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, RefusalReason.INVALID),
        (401, RefusalReason.FORBIDDEN),
        (403, RefusalReason.FORBIDDEN),
        (404, RefusalReason.NOT_FOUND),
        (409, RefusalReason.CONFLICT),
        (422, RefusalReason.CHANGED_MEANWHILE),
        (429, RefusalReason.THROTTLED),
        (500, RefusalReason.SERVER_ERROR),
        (504, RefusalReason.SERVER_ERROR),
    ],
)
def test_each_refusal_of_the_api_server_has_its_name(
    stage: Stage, action: Action, status: int, reason: RefusalReason
) -> None:
    stage.api.fail(status, match="PATCH")

    assert not stage.cluster().apply(action, decision(), NOW_S)
    assert stage.why is reason and stage.traces() == []


@every_patch
def test_a_right_that_is_missing_is_named(stage: Stage, action: Action) -> None:
    stage.api.forbid("patch", HPA)
    stage.api.forbid("patch", "pods")

    assert not stage.cluster().apply(action, decision(), NOW_S)
    refused = stage.outcomes[-1].refused
    assert refused is not None and refused.reason is RefusalReason.FORBIDDEN
    assert 'cannot patch resource "' in refused.detail


@every_patch
def test_a_lost_answer_is_found_out_by_the_next_leader(stage: Stage, action: Action) -> None:
    stage.api.cut(match="PATCH", times=1, after=True)
    assert not stage.cluster(epoch=1).apply(action, decision(), NOW_S)
    assert stage.why is RefusalReason.UNANSWERED

    assert stage.cluster(epoch=2).apply(action, decision(), NOW_S + 20.0)
    assert len(stage.writes()) == 1


@every_patch
def test_an_unrelated_change_in_between_only_costs_another_attempt(stage: Stage, action: Action) -> None:
    note = {"other": "x"}
    for plural, name, match in (
        (HPA, "web", "PATCH /apis/autoscaling"),
        ("pods", "web-1", "PATCH /api/v1/namespaces/shop/pods"),
    ):
        edit = partial(stage.sets, plural, name, lambda seen: seen["metadata"].update(annotations=dict(note)))
        stage.api.before(match, edit)

    assert stage.cluster().apply(action, decision(), NOW_S)
    assert len(stage.writes()) == 2


def test_an_object_of_another_shape_ends_nothing(stage: Stage) -> None:
    stage.sets(HPA, "web", lambda hpa: hpa["spec"].update(maxReplicas="many"))

    assert not stage.cluster().apply(SetFloor(WEB, 6, UNTIL_S), decision(), NOW_S)
    assert stage.why is RefusalReason.MALFORMED


def test_settling_costs_no_request_while_nothing_is_due(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(SetFloor(WEB, 6, UNTIL_S), decision(), NOW_S)
    cluster.settle(NOW_S + 15.0)
    before = len(stage.api.requests)

    for tick in range(2, 20):
        cluster.settle(NOW_S + 15.0 * tick)

    assert len(stage.api.requests) == before


def test_a_new_leader_learns_what_expires_and_takes_it_back_in_time(stage: Stage) -> None:
    stage.cluster(epoch=1).apply(SetFloor(WEB, 3, UNTIL_S), decision(), NOW_S)
    successor = stage.cluster(epoch=2)

    successor.settle(NOW_S + 15.0)
    assert stage.spec(HPA, "web")["minReplicas"] == 3
    successor.settle(UNTIL_S)
    assert stage.spec(HPA, "web")["minReplicas"] == 2 and stage.traces() == []


def test_objects_that_vanished_are_not_looked_for_for_ever(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(SetTraffic(WEB, "web-1", on=False, expires_at_s=UNTIL_S), decision(), NOW_S)
    stage.api.delete("pods", "shop", "web-1")
    cluster.settle(UNTIL_S)
    before = len(stage.api.requests)

    cluster.settle(UNTIL_S + 15.0)

    assert len(stage.api.requests) == before


def test_a_client_that_repeats_writes_by_itself_is_not_taken(stage: Stage) -> None:
    with pytest.raises(ValueError, match=r"configuration\.retries = False"):
        Api(stage.api.client(retries=None), OpenFence())


def test_outcomes_are_told_for_what_was_done_too(stage: Stage) -> None:
    stage.cluster().apply(SetFloor(WEB, 6, UNTIL_S), decision("d-7"), NOW_S)

    (outcome,) = stage.outcomes
    assert (outcome.decision, outcome.at_s, outcome.refused, outcome.partial) == ("d-7", NOW_S, None, ())
