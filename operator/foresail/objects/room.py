"""How many more pods of a workload the cluster takes: free room on nodes that would have it, and quota."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from foresail.objects.object_state import TERMINAL, ObjectState, WorkloadObjects
from foresail.objects.records import NodeRecord, PodTemplate, QuotaRecord, Resources, Taint

_ALMOST = 1e-9  # 0.3 / 0.1 is 2.999…
_REPELLING = ("NoSchedule", "NoExecute")
_MOST = 1_000_000  # nothing limits it


@dataclass(frozen=True, slots=True)
class FreeRoom:
    """What is free on a node."""

    node: NodeRecord
    cpu_cores: float
    memory_bytes: float
    pods: int


class NodeRoom:
    """Room on all nodes that take pods, as of one moment. Workloads with the same needs are reckoned once."""

    def __init__(self, rooms: Iterable[FreeRoom]) -> None:
        self._rooms = tuple(rooms)
        self._reckoned: dict[object, int] = {}

    def pods_like(self, template: PodTemplate) -> int:
        """How many pods of this template fit, all nodes together."""
        needs = (
            template.resources.cpu_request_cores,
            template.resources.memory_request_bytes,
            tuple(template.node_selector.items()),
            template.tolerations,
        )
        if needs not in self._reckoned:
            self._reckoned[needs] = sum(_fitting(room, template) for room in self._rooms)
        return self._reckoned[needs]


def node_room(state: ObjectState) -> NodeRoom | None:
    """Free room of every node that takes pods; None where that cannot be known."""
    if not state.sees_all_pods or not state.nodes:
        return None
    taken: dict[str, list[float]] = {}
    for pod in state.pods.values():
        if pod.node is not None and pod.phase not in TERMINAL:
            sums = taken.setdefault(pod.node, [0.0, 0.0, 0.0])
            sums[0] += pod.cpu_request_cores
            sums[1] += pod.memory_request_bytes
            sums[2] += 1
    rooms = []
    for node in state.nodes.values():
        if node.unschedulable or node.ready is not True:
            continue
        if node.cpu_cores is None or node.memory_bytes is None or node.pods is None:
            return None
        cpu_cores, memory_bytes, pods = taken.get(node.meta.name, (0.0, 0.0, 0.0))
        free_pods = node.pods - int(pods)
        rooms.append(FreeRoom(node, node.cpu_cores - cpu_cores, node.memory_bytes - memory_bytes, free_pods))
    return NodeRoom(rooms)


def room_pods(workload: WorkloadObjects, room: NodeRoom | None) -> int | None:
    """How many more pods fit; pods that already wait for a node have taken their place. None: not known."""
    template = workload.record.template
    by_quota = [left for quota in workload.quotas if (left := _left_by(quota, template.resources)) is not None]
    if room is None:
        return max(0, min(by_quota)) if by_quota else None
    waiting = sum(pod.node is None and not pod.deleting for pod in workload.pods)
    on_nodes = max(0, room.pods_like(template) - waiting)
    return max(0, min([on_nodes, *by_quota]))


def _fitting(room: FreeRoom, template: PodTemplate) -> int:
    labels = room.node.meta.labels
    if any(labels.get(key) != value for key, value in template.node_selector.items()):
        return 0
    if any(taint.effect in _REPELLING and not _tolerates(template, taint) for taint in room.node.taints):
        return 0
    resources = template.resources
    return max(
        0,
        min(
            room.pods,
            _times(room.cpu_cores, resources.cpu_request_cores),
            _times(room.memory_bytes, resources.memory_request_bytes),
        ),
    )


def _tolerates(template: PodTemplate, taint: Taint) -> bool:
    return any(
        tolerated.key in (None, taint.key)
        and tolerated.value in (None, taint.value)
        and tolerated.effect in (None, taint.effect)
        for tolerated in template.tolerations
    )


def _left_by(quota: QuotaRecord, resources: Resources) -> int | None:
    """Pods that a quota still lets be made; None where it says nothing about such pods."""
    needs: Mapping[str, float | None] = {
        "pods": 1.0,
        "count/pods": 1.0,
        "cpu": resources.cpu_request_cores,
        "requests.cpu": resources.cpu_request_cores,
        "limits.cpu": resources.cpu_limit_cores,
        "memory": resources.memory_request_bytes,
        "requests.memory": resources.memory_request_bytes,
        "limits.memory": resources.memory_limit_bytes,
    }
    fits = [_times(left, need) for name, left in quota.left.items() if (need := needs.get(name)) is not None]
    return min(fits) if fits else None


def _times(free: float, need: float | None) -> int:
    """How often `need` goes into what is free."""
    return _MOST if not need or need <= 0.0 else math.floor(min(free / need + _ALMOST, _MOST))
