"""Workloads and nodes as the decision core wants them, without anything that only metrics tell."""

from __future__ import annotations

from collections.abc import Mapping

from foresail.objects import names
from foresail.objects.object_state import ObjectState, WorkloadObjects
from foresail.objects.records import NodeRecord, PodRecord
from foresail.objects.room import NodeRoom, node_room, room_pods
from policies.model import NodeSeen, PodSeen, WorkloadSeen

#: Reasons of a Deployment's condition Progressing while a new ReplicaSet takes over. A mere change of scale shows none.
_ROLLING = ("NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated")


def workloads_seen(state: ObjectState) -> Mapping[str, WorkloadSeen]:
    """Every workload by `namespace/name`."""
    zones = {node.meta.name: zone_of(node) for node in state.nodes.values()}
    room = node_room(state)
    return {key: workload_seen(workload, zones, room) for key, workload in state.workloads.items()}


def workload_seen(workload: WorkloadObjects, zones: Mapping[str, str], room: NodeRoom | None) -> WorkloadSeen:
    record = workload.record
    resources = record.template.resources
    least, most = replica_bounds(workload)
    return WorkloadSeen(
        name=workload.key,
        replicas=record.replicas,
        pods=tuple(pod_seen(pod, zones, pod.meta.name in workload.detached) for pod in workload.pods),
        hpa_min=least,
        hpa_max=most,
        rollout_in_progress=rollout_in_progress(workload),
        paused=is_paused(workload),
        cpu_limit_cores=resources.cpu_limit_cores,
        cpu_request_cores=resources.cpu_request_cores,
        spec_generation=record.template.fingerprint,
        room_pods=room_pods(workload, room),
        disruptions_allowed=disruptions_allowed(workload),
    )


def pod_seen(pod: PodRecord, zones: Mapping[str, str], detached: bool = False) -> PodSeen:
    return PodSeen(
        name=pod.meta.name,
        node=pod.node,
        zone=None if pod.node is None else zones.get(pod.node),
        created_at_s=pod.created_at_s or 0.0,  # every pod has one; without it, too old to tell a lead time
        running=pod.phase == "Running",
        ready_at_s=pod.ready_at_s,
        traffic_on=pod.meta.labels.get(names.TRAFFIC_LABEL) != names.TRAFFIC_OFF,
        detached=detached,
        deleting=pod.deleting,
        restarts=pod.restarts,
    )


def nodes_seen(state: ObjectState) -> tuple[NodeSeen, ...]:
    """Every node, by name."""
    return tuple(
        NodeSeen(
            name=node.meta.name,
            zone=zone_of(node),
            ready=False if _is_given_up(node) else node.ready,
            cordoned=node.unschedulable,
            cordoned_by_us=node.unschedulable and names.CORDON in node.meta.annotations,
        )
        for node in sorted(state.nodes.values(), key=lambda node: node.meta.name)
    )


def _is_given_up(node: NodeRecord) -> bool:
    """Whether the control plane has not heard of the node for its grace period, and says so twice.

    Its Ready condition is Unknown then, never False: that is the word of a kubelet which still lives.
    """
    return node.ready is None and any(taint.key == names.UNREACHABLE_TAINT for taint in node.taints)


def zone_of(node: NodeRecord) -> str:
    """The zone that the node's label names. A node without one is a zone of its own: it fails by itself."""
    return next((node.meta.labels[label] for label in names.ZONE_LABELS if label in node.meta.labels), node.meta.name)


def replica_bounds(workload: WorkloadObjects) -> tuple[int | None, int | None]:
    """The least and most replicas that stand where we would write them: KEDA's where KEDA owns the HPA."""
    if workload.scaled_object is not None:
        return workload.scaled_object.min_replicas, workload.scaled_object.max_replicas
    if workload.hpa is not None:
        return workload.hpa.min_replicas, workload.hpa.max_replicas
    return None, None


def is_paused(workload: WorkloadObjects) -> bool:
    """Whether people do not want it scaled now."""
    return (
        workload.record.replicas == 0
        or (workload.hpa is not None and workload.hpa.scale_up_disabled)
        or (workload.scaled_object is not None and workload.scaled_object.paused)
    )


def rollout_in_progress(workload: WorkloadObjects) -> bool:
    """Whether pods of two versions serve, or soon will."""
    record = workload.record
    generation, observed = record.meta.generation, record.observed_generation
    if workload.canary or (generation is not None and observed is not None and observed < generation):
        return True
    if record.kind == "StatefulSet":
        revisions = (record.current_revision, record.update_revision)
        # With a partition or OnDelete they differ until somebody finishes it by hand: a canary as well.
        return None not in revisions and revisions[0] != revisions[1]
    if record.resource is not None and _is_mixed(workload):
        return True
    return record.status_replicas > record.updated_replicas or record.progress_reason in _ROLLING


def _is_mixed(workload: WorkloadObjects) -> bool:
    """Whether its pods are of several versions: kinds of other people's tell nothing else about rollouts."""
    staying = [pod for pod in workload.pods if not pod.deleting and pod.meta.name not in workload.detached]
    return any(
        len({pod.meta.labels[label] for pod in staying if label in pod.meta.labels}) > 1
        for label in names.VERSION_LABELS
    )


def disruptions_allowed(workload: WorkloadObjects) -> int | None:
    """What the strictest budget over its pods allows, None without one."""
    allowed = [b.disruptions_allowed for b in workload.budgets if b.disruptions_allowed is not None]
    return min(allowed) if allowed else None
