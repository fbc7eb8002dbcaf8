"""The floor under an HPA or a ScaledObject: raised, renewed, given back, contested, never fought over."""

from __future__ import annotations

import pytest
from act_stage import HPA, NOW_S, SCALED, WEB, Stage, decision, row

from foresail.actuators.refusals import RefusalReason
from policies.decision import SetFloor

TTL_S = 300.0


def floor(pods: int, now_s: float = NOW_S) -> SetFloor:
    return SetFloor(WEB, pods, now_s + TTL_S)


def set_min(stage: Stage, pods: int) -> None:
    stage.sets(HPA, "web", lambda hpa: hpa["spec"].update(minReplicas=pods))


def keda(stage: Stage, **spec: object) -> None:
    """KEDA owns the HPA."""
    stage.api.put(row("keda.sh/v1alpha1", "ScaledObject", "web", spec={"scaleTargetRef": {"name": "web"}, **spec}))
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web", "controller": True}
    stage.sets(HPA, "web", lambda hpa: hpa["metadata"].update(ownerReferences=[owner]))


def test_raises_the_floor_and_records_what_stood_there(stage: Stage) -> None:
    assert stage.cluster().apply(floor(6), decision("d-9"), NOW_S)

    assert stage.spec(HPA, "web")["minReplicas"] == 6
    expected = {"original": 2, "written": 6, "epoch": 1, "expires_at": NOW_S + TTL_S, "decision": "d-9"}
    assert stage.mark(HPA, "web", "floor") == expected
    assert stage.get(HPA, "web")["metadata"]["labels"] == {"foresail.dev/managed": "true"}


def test_writes_nothing_while_more_than_half_of_the_time_is_left(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)

    assert cluster.apply(floor(6, NOW_S + 140.0), decision(), NOW_S + 140.0)
    assert len(stage.writes()) == 1

    assert cluster.apply(floor(6, NOW_S + 160.0), decision(), NOW_S + 160.0)
    assert len(stage.writes()) == 2
    mark = stage.mark(HPA, "web", "floor")
    assert mark is not None and mark["expires_at"] == NOW_S + 160.0 + TTL_S and mark["original"] == 2


def test_a_new_value_keeps_the_first_original(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)
    cluster.apply(floor(8), decision(), NOW_S + 15.0)

    mark = stage.mark(HPA, "web", "floor")
    assert mark is not None and (mark["original"], mark["written"]) == (2, 8)


def test_leaves_a_value_alone_that_is_as_wanted_by_somebody_elses_will(stage: Stage) -> None:
    assert stage.cluster().apply(floor(2), decision(), NOW_S)

    assert stage.writes() == [] and stage.traces() == []


def test_never_asks_for_more_than_the_ceiling(stage: Stage) -> None:
    assert stage.cluster().apply(floor(50), decision(), NOW_S)

    assert stage.spec(HPA, "web")["minReplicas"] == 10


def test_an_expired_floor_comes_down_a_tenth_or_a_pod_a_minute(stage: Stage) -> None:
    set_min(stage, 6)
    stage.sets(HPA, "web", lambda hpa: hpa["spec"].update(maxReplicas=40))
    cluster = stage.cluster()
    cluster.apply(floor(30), decision(), NOW_S)

    seen = []
    for minute in range(40):
        stage.revert_expired(NOW_S + TTL_S + 60.0 * minute)
        seen.append(stage.spec(HPA, "web")["minReplicas"])

    # 30 - ceil(3.0) = 27, - ceil(2.7) = 24, - ceil(2.4) = 21, - ceil(2.1) = 18, - ceil(1.8) = 16, … 10, then by ones
    assert seen[:12] == [27, 24, 21, 18, 16, 14, 12, 10, 9, 8, 7, 6]
    assert seen[-1] == 6 and stage.traces() == []


def test_does_not_come_down_before_its_time_or_twice_in_a_minute(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)

    stage.revert_expired(NOW_S + TTL_S - 1.0)
    assert stage.spec(HPA, "web")["minReplicas"] == 6

    stage.revert_expired(NOW_S + TTL_S)
    stage.revert_expired(NOW_S + TTL_S + 30.0)
    assert stage.spec(HPA, "web")["minReplicas"] == 5


def test_a_floor_can_be_raised_again_on_its_way_down(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)
    stage.revert_expired(NOW_S + TTL_S)

    cluster.apply(floor(7, NOW_S + TTL_S), decision(), NOW_S + TTL_S)

    mark = stage.mark(HPA, "web", "floor")
    assert mark is not None and (mark["original"], mark["written"]) == (2, 7)


def test_somebody_elses_value_becomes_the_new_original(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)
    set_min(stage, 4)

    assert cluster.apply(floor(6, NOW_S + 30.0), decision(), NOW_S + 30.0)
    mark = stage.mark(HPA, "web", "floor")
    assert mark is not None and mark["original"] == 4

    stage.revert_all(NOW_S + 40.0, periods_left=0)
    assert stage.spec(HPA, "web")["minReplicas"] == 4 and stage.traces() == []


def test_undoing_leaves_somebody_elses_value(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)
    set_min(stage, 9)

    stage.revert_expired(NOW_S + TTL_S)

    assert stage.spec(HPA, "web")["minReplicas"] == 9 and stage.traces() == []


def test_gives_up_when_it_is_replaced_twice_within_ten_minutes(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)
    set_min(stage, 2)
    assert cluster.apply(floor(6, NOW_S + 60.0), decision(), NOW_S + 60.0)
    set_min(stage, 2)

    assert not cluster.apply(floor(6, NOW_S + 120.0), decision(), NOW_S + 120.0)

    assert stage.why is RefusalReason.CONTESTED
    assert stage.spec(HPA, "web")["minReplicas"] == 2
    annotations = stage.get(HPA, "web")["metadata"]["annotations"]
    assert annotations == {"foresail.dev/contested": f"{NOW_S + 3720.0:.0f}"}


def test_a_successor_leaves_a_contested_object_alone_until_the_hour_is_over(stage: Stage) -> None:
    test_gives_up_when_it_is_replaced_twice_within_ten_minutes(stage)
    successor = stage.cluster(epoch=2)

    assert not successor.apply(floor(6, NOW_S + 600.0), decision(), NOW_S + 600.0)
    assert stage.why is RefusalReason.CONTESTED

    assert successor.apply(floor(6, NOW_S + 4000.0), decision(), NOW_S + 4000.0)
    assert stage.spec(HPA, "web")["minReplicas"] == 6


def test_a_contest_ends_when_somebody_writes_what_we_want(stage: Stage) -> None:
    test_gives_up_when_it_is_replaced_twice_within_ten_minutes(stage)
    set_min(stage, 6)

    assert stage.cluster().apply(floor(6, NOW_S + 180.0), decision(), NOW_S + 180.0)
    assert stage.traces() == []  # theirs: there is nothing of ours to take back

    assert stage.cluster().apply(floor(7, NOW_S + 240.0), decision(), NOW_S + 240.0)
    mark = stage.mark(HPA, "web", "floor")
    assert mark is not None and mark["original"] == 6 and stage.spec(HPA, "web")["minReplicas"] == 7


def test_the_note_of_a_contest_goes_with_everything_else(stage: Stage) -> None:
    test_gives_up_when_it_is_replaced_twice_within_ten_minutes(stage)

    stage.revert_all(NOW_S + 200.0, periods_left=0)

    assert stage.traces() == [] and stage.spec(HPA, "web")["minReplicas"] == 2


def test_replacements_that_lie_far_apart_are_no_contest(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)
    for later_s in (700.0, 1400.0, 2100.0):
        set_min(stage, 2)
        assert cluster.apply(floor(6, NOW_S + later_s), decision(), NOW_S + later_s)


def test_a_tool_that_replaces_the_whole_object_counts_too(stage: Stage) -> None:
    manifest = stage.get(HPA, "web")["spec"] | {"minReplicas": 2}
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)

    def rewritten(hpa: dict[str, object]) -> None:
        hpa["metadata"].pop("annotations", None)  # type: ignore[attr-defined]
        hpa["metadata"].pop("labels", None)  # type: ignore[attr-defined]
        hpa["spec"] = manifest

    stage.sets(HPA, "web", rewritten)
    assert cluster.apply(floor(6, NOW_S + 60.0), decision(), NOW_S + 60.0)
    stage.sets(HPA, "web", rewritten)
    assert not cluster.apply(floor(6, NOW_S + 120.0), decision(), NOW_S + 120.0)

    assert stage.why is RefusalReason.CONTESTED and stage.spec(HPA, "web")["minReplicas"] == 2


def test_a_mark_that_was_taken_away_alone_is_put_back_with_its_original(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)
    stage.sets(HPA, "web", lambda hpa: hpa["metadata"].pop("annotations"))

    assert cluster.apply(floor(6, NOW_S + 30.0), decision(), NOW_S + 30.0)

    mark = stage.mark(HPA, "web", "floor")
    assert mark is not None and mark["original"] == 2 and "reversed_at" not in mark


def test_somebody_between_reading_and_writing_is_seen(stage: Stage) -> None:
    stage.api.before("PATCH", lambda: set_min(stage, 3))

    assert stage.cluster().apply(floor(6), decision(), NOW_S)

    mark = stage.mark(HPA, "web", "floor")
    assert mark is not None and (mark["original"], mark["written"]) == (3, 6)
    assert stage.spec(HPA, "web")["minReplicas"] == 6


def test_an_object_that_was_made_anew_is_another_object(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)
    fresh = stage.get(HPA, "web")
    fresh["metadata"] = {"name": "web", "namespace": "shop"}
    fresh["spec"]["minReplicas"] = 3
    stage.api.put(fresh)

    assert cluster.apply(floor(6, NOW_S + 60.0), decision(), NOW_S + 60.0)

    mark = stage.mark(HPA, "web", "floor")
    assert mark is not None and mark["original"] == 3 and "reversed_at" not in mark


def test_the_floor_of_a_scaled_object_is_kedas_field(stage: Stage) -> None:
    keda(stage)
    cluster = stage.cluster()

    assert cluster.apply(floor(6), decision(), NOW_S)
    assert stage.spec(SCALED, "web")["minReplicaCount"] == 6
    assert stage.spec(HPA, "web")["minReplicas"] == 2

    stage.revert_all(NOW_S + 10.0, periods_left=0)
    assert "minReplicaCount" not in stage.spec(SCALED, "web") and stage.traces() == []


def test_a_paused_scaled_object_is_left_alone(stage: Stage) -> None:
    keda(stage)
    stage.sets(SCALED, "web", lambda o: o["metadata"].update(annotations={"autoscaling.keda.sh/paused": "true"}))

    assert not stage.cluster().apply(floor(6), decision(), NOW_S)
    assert stage.why is RefusalReason.SCALING_PAUSED and stage.writes() == []


@pytest.mark.parametrize(
    ("plural", "change"),
    [
        pytest.param(HPA, {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}, id="select-policy-disabled"),
        pytest.param("deployments", {"replicas": 0}, id="scaled-to-zero-by-hand"),
    ],
)
def test_honours_what_people_switched_off(stage: Stage, plural: str, change: dict[str, object]) -> None:
    stage.sets(plural, "web", lambda seen: seen["spec"].update(change))

    assert not stage.cluster().apply(floor(6), decision(), NOW_S)
    assert stage.why is RefusalReason.SCALING_PAUSED and stage.writes() == []


def test_says_so_when_two_autoscalers_claim_the_workload(stage: Stage) -> None:
    second = stage.get(HPA, "web")
    second["metadata"] = {"name": "web-too", "namespace": "shop"}
    stage.api.put(second)

    assert not stage.cluster().apply(floor(6), decision(), NOW_S)
    assert stage.why is RefusalReason.AMBIGUOUS


def test_says_so_when_there_is_no_autoscaler(stage: Stage) -> None:
    stage.api.delete(HPA, "shop", "web")

    assert not stage.cluster().apply(floor(6), decision(), NOW_S)
    assert stage.why is RefusalReason.NO_AUTOSCALER


def test_an_annotation_edited_by_hand_is_not_guessed_at(stage: Stage) -> None:
    stage.sets(HPA, "web", lambda hpa: hpa["metadata"].update(annotations={"foresail.dev/floor": '{"original": 2}'}))

    assert not stage.cluster().apply(floor(6), decision(), NOW_S)
    assert stage.why is RefusalReason.MARK_UNREADABLE
    assert "foresail.dev/floor" in (stage.outcomes[-1].refused or pytest.fail("refused")).detail


def test_refuses_an_act_that_would_end_before_it_begins(stage: Stage) -> None:
    assert not stage.cluster().apply(SetFloor(WEB, 6, NOW_S - 1.0), decision(), NOW_S)
    assert stage.why is RefusalReason.ALREADY_EXPIRED


def test_a_floor_that_is_lowered_to_the_original_leaves_no_trace(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(floor(6), decision(), NOW_S)

    assert cluster.apply(floor(2, NOW_S + 60.0), decision(), NOW_S + 60.0)

    assert stage.spec(HPA, "web")["minReplicas"] == 2 and stage.traces() == []
