"""What the decision core is told of workloads and nodes."""

from __future__ import annotations

import json

import pytest
from api_objects import (
    Object,
    budget,
    container,
    deployment,
    hpa,
    node,
    owned_by,
    pod,
    quota,
    replica_set,
    scaled_object,
    service,
    stateful_set,
)

from foresail.objects import parsing
from foresail.objects.object_state import ObjectState, Records, joined
from foresail.objects.workload_views import nodes_seen, workloads_seen
from policies.model import NodeSeen, WorkloadSeen

PARSERS = {
    "Pod": ("pods", parsing.pod),
    "Node": ("nodes", parsing.node),
    "Deployment": ("deployments", parsing.deployment),
    "StatefulSet": ("stateful_sets", parsing.stateful_set),
    "ReplicaSet": ("replica_sets", parsing.replica_set),
    "HorizontalPodAutoscaler": ("hpas", parsing.hpa),
    "ScaledObject": ("scaled_objects", parsing.scaled_object),
    "PodDisruptionBudget": ("budgets", parsing.budget),
    "ResourceQuota": ("quotas", parsing.quota),
    "Service": ("services", parsing.service),
}


def cluster(*objects: Object, sees_all_pods: bool = True) -> ObjectState:
    records: dict[str, dict[str, object]] = {}
    for described in objects:
        field, parse = PARSERS[described["kind"]]
        record = parse(described)
        assert record is not None
        records.setdefault(field, {})[record.meta.key] = record
    return joined(Records(**records), sees_all_pods)  # type: ignore[arg-type]


def web(*objects: Object, sees_all_pods: bool = True) -> WorkloadSeen:
    """The Deployment `web`, an ordinary one unless another is among the objects."""
    given = any(o["kind"] == "Deployment" and o["metadata"]["name"] == "web" for o in objects)
    usual = () if given else (deployment(),)
    return workloads_seen(cluster(*usual, replica_set(), *objects, sees_all_pods=sees_all_pods))["shop/web"]


def test_a_workload_as_it_usually_is() -> None:
    seen = web(pod(), node())

    assert (seen.name, seen.replicas, len(seen.pods)) == ("shop/web", 2, 1)
    assert seen.cpu_request_cores == 0.25 and seen.cpu_limit_cores is None
    assert not seen.rollout_in_progress and not seen.paused
    assert seen.hpa_min is seen.hpa_max is seen.disruptions_allowed is None
    only = seen.pods[0]
    assert (only.name, only.node, only.zone) == ("web-1-a", "n1", "a")
    assert only.ready and only.traffic_on and not only.detached and only.running
    assert only.ready_at_s is not None and only.ready_at_s - only.created_at_s == 30.0


def test_pods_of_others_are_not_its_own() -> None:
    stranger = pod("stranger", owner="other-1")
    bare = pod("bare", owner=None)
    ended = pod("ended", phase="Failed")

    assert web(stranger, bare, ended).pods == ()


def test_a_stateful_set_owns_its_pods_itself() -> None:
    seen = workloads_seen(cluster(stateful_set(), pod("db-0", "db", "StatefulSet")))["shop/db"]

    assert [found.name for found in seen.pods] == ["db-0"]


def test_a_pod_out_of_rotation_is_ready_without_traffic() -> None:
    off = pod(labels={"app": "web", "foresail.dev/traffic": "off"})

    seen = web(off)

    assert seen.pods[0].ready and not seen.pods[0].traffic_on and seen.endpoints == ()


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    seen = web(pod(deletionTimestamp="2026-01-01T00:01:00Z"))

    assert seen.pods[0].deleting and not seen.pods[0].ready


@pytest.mark.parametrize(
    "note",
    [
        pytest.param("1", id="the bare hash"),
        pytest.param(json.dumps({"original": "1", "written": "detached-x", "epoch": 3}), id="with its record"),
    ],
)
def test_a_detached_pod_still_belongs_to_its_workload(note: str) -> None:
    labels = {"app": "web", "pod-template-hash": "detached-x"}
    seen = web(pod(owner=None, labels=labels, annotations={"foresail.dev/detached": note}))

    assert [(found.name, found.detached) for found in seen.pods] == [("web-1-a", True)]


def test_a_pod_whose_hash_was_restored_is_not_detached() -> None:
    seen = web(pod(annotations={"foresail.dev/detached": "1"}))

    assert [found.detached for found in seen.pods] == [False]


def test_a_detached_pod_goes_to_the_workload_that_had_its_hash() -> None:
    greedy = deployment("greedy", selector={"matchLabels": {"app": "web"}})
    labels = {"app": "web", "pod-template-hash": "x"}
    released = pod(owner=None, labels=labels, annotations={"foresail.dev/detached": "1"})

    seen = workloads_seen(cluster(greedy, deployment(), replica_set(), released))

    assert [found.name for found in seen["shop/web"].pods] == ["web-1-a"] and seen["shop/greedy"].pods == ()


def test_an_hpa_gives_the_bounds() -> None:
    assert (web(hpa()).hpa_min, web(hpa()).hpa_max) == (2, 10)
    assert web(hpa(target="another")).hpa_min is None


def test_keda_gives_the_bounds_where_it_owns_the_hpa() -> None:
    seen = web(hpa("keda-hpa-web"), scaled_object(minReplicaCount=3, maxReplicaCount=30))

    assert (seen.hpa_min, seen.hpa_max) == (3, 30)


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([deployment(replicas=0)], id="scaled to nothing by hand"),
        pytest.param([hpa(scaleUp={"selectPolicy": "Disabled"})], id="the HPA may not scale up"),
        pytest.param([scaled_object(annotations={"autoscaling.keda.sh/paused": "true"})], id="KEDA is paused"),
    ],
)
def test_people_can_pause_scaling(objects: list[Object]) -> None:
    assert web(*objects).paused


def rolling(**status: object) -> Object:
    described = deployment()
    described["status"] |= status
    return described


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        pytest.param(rolling(), False, id="at rest"),
        pytest.param(rolling(observedGeneration=0), True, id="the controller has not seen the change"),
        pytest.param(rolling(replicas=3, updatedReplicas=1), True, id="old pods are left"),
        pytest.param(rolling(replicas=1, updatedReplicas=1), False, id="scaling up is no rollout"),
        pytest.param(
            rolling(conditions=[{"type": "Progressing", "reason": "ReplicaSetUpdated"}]), True, id="Recreate in between"
        ),
        pytest.param(
            rolling(conditions=[{"type": "Progressing", "reason": "NewReplicaSetAvailable"}]), False, id="done"
        ),
    ],
)
def test_rollouts_of_deployments(described: Object, expected: bool) -> None:
    assert web(described).rollout_in_progress is expected


def test_rollouts_of_stateful_sets() -> None:
    changing = stateful_set()
    changing["status"]["updateRevision"] = "r2"

    assert not workloads_seen(cluster(stateful_set()))["shop/db"].rollout_in_progress
    assert workloads_seen(cluster(changing))["shop/db"].rollout_in_progress


def test_flagger_at_work_is_a_rollout_of_both_versions() -> None:
    primary = deployment("web-primary")
    primary["metadata"]["ownerReferences"] = owned_by("Canary", "web", "flagger.app/v1beta1")

    seen = workloads_seen(cluster(primary, deployment()))
    idle = workloads_seen(cluster(primary, deployment(replicas=0)))

    assert seen["shop/web"].rollout_in_progress and seen["shop/web-primary"].rollout_in_progress
    assert not idle["shop/web-primary"].rollout_in_progress


def test_pods_of_argo_rollouts_are_a_rollout() -> None:
    assert web(pod(labels={"app": "web", "rollouts-pod-template-hash": "z"})).rollout_in_progress


def test_the_strictest_budget_counts() -> None:
    assert web(budget("a", 3), budget("b", 1), budget("other", 0, app="db")).disruptions_allowed == 1
    assert web(budget("a", None)).disruptions_allowed is None


def test_room_is_what_nodes_have_left() -> None:
    # n1: 4 cores less 0.25 and 3.5, so 0.25 left: one more of 0.25. n2: 1 core: four.
    busy = pod("other", owner=None, cpu="3500m")
    assert web(pod(), busy, node("n1"), node("n2", cpu="1")).room_pods == 1 + 4


def test_there_is_no_room_on_cordoned_sick_or_foreign_nodes() -> None:
    tainted = node("n4", taints=[{"key": "control-plane", "effect": "NoSchedule"}])
    others = [node("n2", unschedulable=True), node("n3", ready="Unknown"), tainted]

    assert web(node("n1", cpu="500m"), *others).room_pods == 2


def test_room_minds_node_selectors_and_tolerations() -> None:
    chosen = deployment(pod={"nodeSelector": {"topology.kubernetes.io/zone": "b"}})
    bold = deployment(pod={"tolerations": [{"key": "gpu", "operator": "Exists"}]})
    tainted = node("n2", cpu="500m", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])

    assert web(chosen, node("n1", "a"), node("n2", "b", cpu="500m")).room_pods == 2
    assert web(bold, tainted).room_pods == 2


def test_pods_that_wait_for_a_node_have_taken_their_room() -> None:
    assert web(pod(node=None, ready_at=None, phase="Pending"), node(cpu="1")).room_pods == 4 - 1


def test_quota_limits_room() -> None:
    # 1 core less 0.4 leaves 0.6: two of 0.25.
    assert web(node(), quota(hard={"requests.cpu": "1"}, used={"requests.cpu": "400m"})).room_pods == 2
    assert web(node(), quota(hard={"pods": "5"}, used={"pods": "9"})).room_pods == 0


def test_room_is_unknown_where_nodes_are_shared_with_what_is_not_seen() -> None:
    assert web(node(), sees_all_pods=False).room_pods is None
    assert web(node(), quota(hard={"pods": "5"}), sees_all_pods=False).room_pods == 5
    assert web().room_pods is None


def test_the_generation_follows_the_image() -> None:
    changed = deployment(containers=[container(image="shop:2", requests={"cpu": "250m", "memory": "64Mi"})])

    assert web().spec_generation == web(deployment(replicas=9)).spec_generation
    assert web().spec_generation != web(changed).spec_generation


def test_services_and_budgets_are_found_by_the_pods_they_select() -> None:
    state = cluster(deployment(), service(), service("none", {}), service("other", {"app": "db"}), budget())

    found = state.workloads["shop/web"]

    assert [each.meta.name for each in found.services] == ["web"]
    assert [each.meta.name for each in found.budgets] == ["web"]


def test_a_deployment_counts_before_a_stateful_set_of_its_name() -> None:
    state = cluster(deployment(), stateful_set("web"))

    assert state.ambiguous == {"shop/web"} and state.workloads["shop/web"].kind == "Deployment"


def test_nodes() -> None:
    ours = node("n1", unschedulable=True)
    ours["metadata"]["annotations"] = {"foresail.dev/cordon": "{}"}
    state = cluster(node("n3", None, ready="Unknown"), ours, node("n2", "b", ready="False", unschedulable=True))

    assert nodes_seen(state) == (
        NodeSeen("n1", "a", True, cordoned=True, cordoned_by_us=True),
        NodeSeen("n2", "b", False, cordoned=True),
        NodeSeen("n3", "n3", None),  # without a label it is a zone of its own
    )


def test_a_node_that_the_control_plane_has_given_up_is_not_ready() -> None:
    lost = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}
    state = cluster(node("n1", ready="Unknown", taints=[lost]), node("n2", ready="True", taints=[lost]))

    # The taint alone lingers for a moment after the kubelet's return.
    assert [seen.ready for seen in nodes_seen(state)] == [False, True]
