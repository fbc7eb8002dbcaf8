"""Which pods may leave rotation: the drain cap, and the endpoints that have to stay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass

from policies.decision import Reason, ReasonCode
from policies.model import FastSeen, NodeSeen, Observation, PodSeen, WorkloadSeen


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is known against pods, and which were asked out of rotation a moment ago (`workload/pod`)."""

    nodes: Mapping[str, NodeSeen]
    mute: Set[str]  # pods (`workload/pod`) that answered no vantage point at the last probe
    asked_off: Set[str]

    @staticmethod
    def of(context: Observation | FastSeen, asked_off: Set[str]) -> Rotation:
        mute: set[str] = set()
        if isinstance(context, FastSeen):
            for probe in context.probes:
                answers = [ok for ok in probe.ok_by_vantage.values() if ok is not None]
                if answers and not any(answers):
                    mute.add(f"{probe.workload}/{probe.pod}")
        return Rotation({node.name: node for node in context.nodes}, mute, asked_off)

    def endpoints(self, workload: WorkloadSeen) -> list[PodSeen]:
        """Pods that get traffic, less those asked out of rotation and not seen out yet."""
        return [pod for pod in workload.endpoints if f"{workload.name}/{pod.name}" not in self.asked_off]

    def serving(self, workload: WorkloadSeen) -> list[PodSeen]:
        """Endpoints that nothing speaks against, neither their node nor the last probe."""
        return [
            pod
            for pod in self.endpoints(workload)
            if f"{workload.name}/{pod.name}" not in self.mute and not self._node_down(pod)
        ]

    def _node_down(self, pod: PodSeen) -> bool:
        node = self.nodes.get(pod.node or "")
        return node is not None and node.ready is False

    def foreign_cordon(self, workload: WorkloadSeen) -> Reason | None:
        """A node under the workload that somebody else is emptying."""
        for pod in workload.pods:
            node = self.nodes.get(pod.node or "")
            if node is not None and node.cordoned and not node.cordoned_by_us:
                return Reason(ReasonCode.FOREIGN_CORDON, {"node": node.name})
        return None

    def zone_leaves(self, workload: WorkloadSeen, zone: str) -> Reason | None:
        """Why a zone may not leave: nothing would serve the workload."""
        if any(pod.zone != zone for pod in self.serving(workload)):
            return None
        return Reason(ReasonCode.LAST_ENDPOINT, {"endpoints": len(workload.endpoints)})

    def live_pod_leaves(self, workload: WorkloadSeen, pod: str, cap_ratio: float, for_good: bool) -> Reason | None:
        """Why a working pod may not leave.

        `for_good`: it will be evicted, so it does not linger as a Ready pod that a disruption budget counts.
        """
        before = {endpoint.name for endpoint in self.endpoints(workload)}
        if pod not in before:
            return None  # a renewal, or the eviction of what was drained
        kept = {endpoint.name for endpoint in self.serving(workload)} - {pod}
        # A drained pod stays Ready: with as few endpoints as disruptions are allowed, others may evict them all.
        spare = 0 if for_good else workload.disruptions_allowed or 0
        if len(kept) <= spare:
            return Reason(ReasonCode.LAST_ENDPOINT, {"endpoints": len(before), "disruptions_allowed": spare})
        return self._over_cap(workload, len(before), cap_ratio)

    def dead_pod_leaves(self, workload: WorkloadSeen, pod: str, cap_ratio: float | None) -> Reason | None:
        """Why a pod that answers nobody may not leave. `cap_ratio` None: its whole node or zone is dead."""
        before = {endpoint.name for endpoint in self.endpoints(workload)}
        if pod not in before:
            return None
        if len(before) == 1:
            return Reason(ReasonCode.LAST_ENDPOINT, {"endpoints": 1})
        return None if cap_ratio is None else self._over_cap(workload, len(before), cap_ratio)

    def _over_cap(self, workload: WorkloadSeen, endpoints: int, cap_ratio: float) -> Reason | None:
        ready = sum(1 for pod in workload.pods if pod.ready)
        cap = drain_cap(ready, cap_ratio)
        drained = ready - endpoints
        if drained + 1 <= cap:
            return None
        return Reason(ReasonCode.DRAIN_CAP, {"drained": drained, "cap": cap, "pods": ready})


def drain_cap(ready_pods: int, cap_ratio: float) -> int:
    """Pods that may be out of rotation at once: the share rounded down, but one is always allowed."""
    return max(1, math.floor(cap_ratio * ready_pods + 1e-9))
