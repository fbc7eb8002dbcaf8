"""Detach, reattach, evict: a pod that has to go leaves only after another one serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from act_stage import NOW_S, WEB, Stage, decision, pod, row

from foresail.actuators.refusals import RefusalReason
from policies.decision import DetachPod, EvictPod, ReattachPod

SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DETACH = DetachPod(WEB, "web-1", NOW_S + 900.0)
REATTACH, EVICT = ReattachPod(WEB, "web-1"), EvictPod(WEB, "web-1")


def template_hash(stage: Stage, name: str = "web-1") -> str:
    found: str = stage.get("pods", name)["metadata"]["labels"]["pod-template-hash"]
    return found


def evictions(stage: Stage) -> int:
    return sum(line.endswith("/eviction") for line in stage.writes())


def test_leaves_its_replica_set_and_may_be_evicted(stage: Stage) -> None:
    assert stage.cluster().apply(DETACH, decision(), NOW_S)

    assert template_hash(stage).startswith("foresail-")
    seen = stage.get("pods", "web-1")["metadata"]
    assert seen["annotations"][SAFE] == "true" and seen["labels"]["foresail.dev/traffic"] == "on"
    mark = stage.mark("pods", "web-1", "detached")
    assert mark is not None and mark["original"] == "7f"


def test_is_detached_for_ten_minutes_at_most(stage: Stage) -> None:
    stage.cluster().apply(DETACH, decision(), NOW_S)

    mark = stage.mark("pods", "web-1", "detached")
    assert mark is not None and mark["expires_at"] == NOW_S + 600.0


def test_twice_is_once(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(DETACH, decision(), NOW_S)

    assert cluster.apply(DETACH, decision(), NOW_S + 15.0)
    assert len(stage.writes()) == 1


def test_two_pods_get_two_hashes(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(DETACH, decision(), NOW_S)
    cluster.apply(DetachPod(WEB, "web-2", NOW_S + 600.0), decision(), NOW_S)

    assert len({template_hash(stage, "web-1"), template_hash(stage, "web-2"), "7f"}) == 3


def test_the_way_back_restores_everything(stage: Stage) -> None:
    before = stage.get("pods", "web-1")["metadata"]["labels"]
    cluster = stage.cluster()
    cluster.apply(DETACH, decision(), NOW_S)

    assert cluster.apply(REATTACH, decision(), NOW_S + 30.0)
    assert cluster.apply(REATTACH, decision(), NOW_S + 45.0)

    seen = stage.get("pods", "web-1")["metadata"]
    assert seen["labels"] == before and not seen.get("annotations") and stage.traces() == []


def test_a_successor_reattaches_what_another_detached(stage: Stage) -> None:
    stage.cluster(epoch=1).apply(DETACH, decision(), NOW_S)

    assert stage.cluster(epoch=2).apply(REATTACH, decision(), NOW_S + 30.0)
    assert template_hash(stage) == "7f"


def test_an_answer_that_was_lost_leads_to_no_second_write(stage: Stage) -> None:
    stage.api.fail(500, match="PATCH", times=1, after=True)
    assert not stage.cluster(epoch=1).apply(DETACH, decision(), NOW_S)

    assert stage.cluster(epoch=2).apply(DETACH, decision(), NOW_S + 20.0)
    assert len(stage.writes()) == 1


def test_leaves_by_the_eviction_api(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(DETACH, decision(), NOW_S)

    assert cluster.apply(EVICT, decision(), NOW_S + 60.0)
    assert not stage.api.exists("pods", "shop", "web-1")

    assert cluster.apply(EVICT, decision(), NOW_S + 75.0)
    assert evictions(stage) == 1


def test_a_budget_is_obeyed_and_nothing_is_deleted(stage: Stage) -> None:
    stage.sets("poddisruptionbudgets", "web", lambda budget: budget.update(status={"disruptionsAllowed": 0}))
    cluster = stage.cluster()
    cluster.apply(DETACH, decision(), NOW_S)

    assert not cluster.apply(EVICT, decision(), NOW_S + 60.0)

    assert stage.why is RefusalReason.DISRUPTION_BUDGET
    assert stage.api.exists("pods", "shop", "web-1")
    assert all(not line.startswith("DELETE") for line in stage.writes())


def test_what_was_not_detached_is_not_evicted(stage: Stage) -> None:
    assert not stage.cluster().apply(EVICT, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_DETACHED and evictions(stage) == 0


def test_a_pod_of_the_same_name_that_came_meanwhile_is_spared(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(DETACH, decision(), NOW_S)
    stage.api.before("POST /api/v1/namespaces/shop/pods/web-1/eviction", lambda: stage.api.put(pod("web-1", "n1")))

    assert not cluster.apply(EVICT, decision(), NOW_S + 60.0)
    assert stage.why is RefusalReason.CONFLICT and stage.api.exists("pods", "shop", "web-1")


def test_a_deadline_puts_the_pod_back(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(DETACH, decision(), NOW_S)

    reverted = stage.revert_expired(NOW_S + 600.0)

    assert [undone.how for undone in reverted.undone] == ["reattached"]
    assert template_hash(stage) == "7f" and stage.traces() == []


@pytest.mark.parametrize("gone", [True, False], ids=["replica-set-gone", "replica-set-emptied-by-a-rollout"])
def test_a_deadline_evicts_a_pod_that_has_no_way_back(stage: Stage, gone: bool) -> None:
    stage.cluster().apply(DETACH, decision(), NOW_S)
    if gone:
        stage.api.delete("replicasets", "shop", "web-7f")
    else:
        stage.sets("replicasets", "web-7f", lambda seen: seen["spec"].update(replicas=0))

    stage.revert_expired(NOW_S + 600.0)

    assert not stage.api.exists("pods", "shop", "web-1")


def claim(mode: str) -> Callable[[Stage], None]:
    def change(stage: Stage) -> None:
        stage.api.put(row("v1", "PersistentVolumeClaim", "data", spec={"accessModes": [mode]}))
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        stage.sets("pods", "web-1", lambda seen: seen["spec"].update(volumes=volumes))

    return change


def deployment(**change: Any) -> Callable[[Stage], None]:
    return lambda stage: stage.sets("deployments", "web", lambda seen: seen["spec"].update(change))


def status(**change: Any) -> Callable[[Stage], None]:
    return lambda stage: stage.sets("deployments", "web", lambda seen: seen["status"].update(change))


def orphan(stage: Stage) -> None:
    stage.sets("pods", "web-1", lambda seen: seen["metadata"].pop("ownerReferences"))


def hash_service(stage: Stage) -> None:
    stage.api.put(row("v1", "Service", "canary", spec={"selector": {"app": "web", "pod-template-hash": "7f"}}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(deployment(strategy={"type": "Recreate"}), RefusalReason.NOT_ROLLING_UPDATE, id="recreate"),
        pytest.param(deployment(paused=True), RefusalReason.ROLLOUT, id="paused-rollout"),
        pytest.param(status(updatedReplicas=2), RefusalReason.ROLLOUT, id="rollout-under-way"),
        pytest.param(status(observedGeneration=0), RefusalReason.ROLLOUT, id="rollout-not-seen-yet"),
        pytest.param(claim("ReadWriteOnce"), RefusalReason.READ_WRITE_ONCE, id="read-write-once"),
        pytest.param(claim("ReadWriteOncePod"), RefusalReason.READ_WRITE_ONCE, id="read-write-once-pod"),
        pytest.param(orphan, RefusalReason.NOT_THIS_WORKLOADS, id="no-replica-set"),
        pytest.param(hash_service, RefusalReason.HASH_SELECTED, id="service-selects-by-hash"),
    ],
)
def test_preconditions_have_names(stage: Stage, change: Callable[[Stage], None], reason: RefusalReason) -> None:
    change(stage)

    assert not stage.cluster().apply(DETACH, decision(), NOW_S)
    assert stage.why is reason and stage.writes() == []


def test_a_volume_for_many_is_no_hindrance(stage: Stage) -> None:
    claim("ReadWriteMany")(stage)

    assert stage.cluster().apply(DETACH, decision(), NOW_S)


def test_only_deployments_are_replaced(stage: Stage) -> None:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "db"}}}
    stage.api.put(row("apps/v1", "StatefulSet", "db", spec=spec))
    stage.api.put(pod("db-0", "n1", app="db"))

    assert not stage.cluster().apply(DetachPod("shop/db", "db-0", NOW_S + 600.0), decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_A_DEPLOYMENT
