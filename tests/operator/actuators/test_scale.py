"""Replicas through the scale subresource: recorded before they change, and taken back the same way."""

from __future__ import annotations

import pytest
from act_stage import HPA, NOW_S, WEB, Stage, decision, row

from foresail.actuators.refusals import RefusalReason
from policies.decision import SetScale

TTL_S = 300.0


@pytest.fixture(autouse=True)
def without_hpa(stage: Stage) -> None:
    stage.api.delete(HPA, "shop", "web")


def scale(pods: int, now_s: float = NOW_S, workload: str = WEB) -> SetScale:
    return SetScale(workload, pods, now_s + TTL_S)


def replicas(stage: Stage, plural: str = "deployments", name: str = "web") -> int:
    found: int = stage.spec(plural, name)["replicas"]
    return found


def test_writes_the_record_first_and_then_the_subresource(stage: Stage) -> None:
    assert stage.cluster().apply(scale(7), decision(), NOW_S)

    deployment = "/apis/apps/v1/namespaces/shop/deployments/web"
    assert stage.writes() == [f"PATCH {deployment}", f"PATCH {deployment}/scale"]
    assert replicas(stage) == 7
    mark = stage.mark("deployments", "web", "scale")
    assert mark is not None and (mark["original"], mark["written"]) == (4, 7)


def test_writes_nothing_twice(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(scale(7), decision(), NOW_S)
    before = stage.writes()

    assert cluster.apply(scale(7, NOW_S + 100.0), decision(), NOW_S + 100.0)
    assert stage.writes() == before


def test_the_original_returns_step_by_step(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(scale(7), decision(), NOW_S)

    seen = []
    for minute in range(3):
        stage.revert_expired(NOW_S + TTL_S + 60.0 * minute)
        seen.append(replicas(stage))

    assert seen == [6, 5, 4] and stage.traces() == []


def test_a_lower_value_returns_at_once(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(scale(2), decision(), NOW_S)
    assert replicas(stage) == 2

    stage.revert_expired(NOW_S + TTL_S)
    assert replicas(stage) == 4 and stage.traces() == []


def test_a_successor_finishes_what_was_only_announced(stage: Stage) -> None:
    stage.api.fail(500, match="/scale", times=1)
    assert not stage.cluster(epoch=1).apply(scale(7), decision(), NOW_S)
    assert stage.why is RefusalReason.SERVER_ERROR and replicas(stage) == 4

    assert stage.cluster(epoch=2).apply(scale(7, NOW_S + 20.0), decision(), NOW_S + 20.0)

    assert replicas(stage) == 7
    mark = stage.mark("deployments", "web", "scale")
    assert mark is not None and mark["original"] == 4 and "reversed_at" not in mark


def test_what_was_only_announced_is_taken_back_without_a_trace(stage: Stage) -> None:
    stage.api.fail(500, match="/scale", times=1)
    stage.cluster(epoch=1).apply(scale(7), decision(), NOW_S)

    stage.revert_all(NOW_S + 20.0, periods_left=0)

    assert replicas(stage) == 4 and stage.traces() == []


def test_a_second_value_that_was_only_announced_does_not_hide_the_first_original(stage: Stage) -> None:
    cluster = stage.cluster(epoch=1)
    cluster.apply(scale(6), decision(), NOW_S)
    stage.api.fail(500, match="PATCH /apis/apps/v1/namespaces/shop/deployments/web/scale", times=1)
    assert not cluster.apply(scale(9, NOW_S + 10.0), decision(), NOW_S + 10.0)
    assert replicas(stage) == 6

    stage.revert_all(NOW_S + 20.0, periods_left=0)

    assert replicas(stage) == 4 and stage.traces() == []


def test_gives_up_when_somebody_insists(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(scale(7), decision(), NOW_S)
    for later_s in (30.0, 60.0):
        stage.sets("deployments", "web", lambda deployment: deployment["spec"].update(replicas=4))
        cluster.apply(scale(7, NOW_S + later_s), decision(), NOW_S + later_s)

    assert stage.why is RefusalReason.CONTESTED and replicas(stage) == 4


def test_any_kind_with_a_scale_subresource_will_do(stage: Stage) -> None:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "queue"}}}
    stage.api.put(row("apps/v1", "StatefulSet", "queue", spec=spec))
    cluster = stage.cluster()

    assert cluster.apply(scale(3, workload="shop/queue"), decision(), NOW_S)
    assert replicas(stage, "statefulsets", "queue") == 3

    stage.revert_all(NOW_S, periods_left=0)
    assert replicas(stage, "statefulsets", "queue") == 2 and stage.traces() == []


def test_never_beside_an_autoscaler(stage: Stage) -> None:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 1}
    stage.api.put(row("autoscaling/v2", "HorizontalPodAutoscaler", "web", spec=spec))

    assert not stage.cluster().apply(scale(7), decision(), NOW_S)
    assert stage.why is RefusalReason.HAS_AUTOSCALER


def test_never_wakes_what_was_scaled_to_zero(stage: Stage) -> None:
    stage.sets("deployments", "web", lambda deployment: deployment["spec"].update(replicas=0))

    assert not stage.cluster().apply(scale(7), decision(), NOW_S)
    assert stage.why is RefusalReason.SCALING_PAUSED and stage.traces() == []
