"""What the fast lanes see each second: a request to every pod from several zones, and the gateway's own counters.

Vantage points are the zones of the operator's two replicas and those where gateway pods run.

A probe fails when the pod is dead or cut off from the vantage zone, refuses connections, rejects because its queue is
full, or would answer later than the probe waits.
"""

from __future__ import annotations

import math
from collections import deque

from policies.model import ProbeSeen
from simulation.cluster.pods import Pod, Stage
from simulation.topology import Service
from simulation.world import World

TIMEOUT_S = 1.0
#: Zones where a replica of the operator runs.
OPERATOR_ZONES = 2
#: Share of failed requests in a second from which a look is worth while; below it there is no overload to speak of.
_TROUBLED_RATIO = 0.02
#: The exact backlog is summed up only when the mean work of what is there comes to this share of it.
_SUSPICIOUS_SHARE = 0.25
#: Seconds of the gateway's counts that are kept.
_RECENT_S = 10
#: Counts of so many seconds are held against the usual rate, which follows with this time constant …
_WINDOW_S = 3
_USUAL_OVER_S = 30.0
#: … and call for a look beyond so many deviations of chance.
_SURGE_DEVIATIONS = 3.0


class Probes:
    """One look per second. `look` is cheap and says whether the rest needs to be read at all."""

    def __init__(self, world: World) -> None:
        self._world = world
        topology = world.scenario.topology
        self._operator_zones = topology.zones[:OPERATOR_ZONES]
        self._gateway = world.services[topology.entry_service]
        self._entry = list(world.services).index(topology.entry_service)
        longest_s = {s.name: 0.0 for s in topology.services}
        for operation in topology.operations:
            service = operation.name.partition(".")[0]
            longest_s[service] = max(longest_s[service], operation.cpu_ms / 1000)
        #: So few requests at a pod are far from a second's work, and from a full queue, at every service.
        self._harmless = min(
            min(_SUSPICIOUS_SHARE * TIMEOUT_S * _cores(s) / longest_s[s.name], s.concurrency + s.queue)
            for s in topology.services
            if longest_s[s.name] > 0
        )
        self._nodes_ready = tuple(node.ready for node in world.nodes.values())
        self._offered = self._failed = self._ok = 0
        self._has_read = False
        #: Good answers by pod slot until this look, and until the one before.
        self._progress = self._progress_before = world.engine.pods.requests * 0
        self._recent: deque[float] = deque(maxlen=_RECENT_S)
        self._usual_rps: float | None = None
        self.gateway_rate_rps: float | None = None
        self.gateway_failed_ratio: float | None = None

    def look(self) -> bool:
        """Read the gateway's counters of the last second. True: something is wrong, or a node changed.

        A node that is gone for good, and whose pods are out of rotation, is no news.
        """
        failed_ratio = self._read_gateway()
        counters = self._world.engine.pods
        self._progress_before, self._progress = self._progress, counters.requests - counters.errors
        surging = self._surges()
        if surging or (failed_ratio is not None and failed_ratio >= _TROUBLED_RATIO):
            return True
        ready = tuple(node.ready for node in self._world.nodes.values())
        if ready != self._nodes_ready:
            self._nodes_ready = ready
            return True
        return self._some_pod_is_dead() or self._some_pod_is_late()

    @property
    def gateway_recent_rps(self) -> dict[str, tuple[float, ...]]:
        """What the gateway was offered in each of the last seconds, oldest first."""
        return {self._gateway.name: tuple(self._recent)}

    def probes(self) -> tuple[ProbeSeen, ...]:
        """Every pod that is in its Service's endpoints, or was until our label took it out."""
        nodes = self._world.nodes
        heard = {node.zone for node in nodes.values() if node.reachable}
        # None: the vantage point itself is gone, or cut off from the rest and heard no more.
        zones = self._vantage_zones()
        by_answer = {
            answer: {zone: answer if zone in heard else None for zone in zones} for answer in (True, False, None)
        }
        return tuple(
            ProbeSeen(deployment.name, pod.name, pod.node, pod.zone, by_answer[self._answers(pod)])
            for deployment in self._world.services.values()
            for pod in deployment.pods
            if pod.slot is not None and (pod.ready or not pod.traffic_on) and not pod.deleting
        )

    def _answers(self, pod: Pod) -> bool | None:
        """None: it keeps the probe waiting and still answers others, so it is busy and not proven dead."""
        if pod.node is None or not self._world.nodes[pod.node].reachable or pod.stage is not Stage.SERVING:
            return False
        if not self._is_late(pod):
            return True
        assert pod.slot is not None
        return None if self._progress[pod.slot] > self._progress_before[pod.slot] else False

    def _vantage_zones(self) -> tuple[str, ...]:
        gateways = (pod.zone for pod in self._gateway.pods if pod.ready and pod.zone is not None)
        return tuple(dict.fromkeys((*self._operator_zones, *gateways)))

    def _surges(self) -> bool:
        """The last seconds brought more than the half minute before them, and more than chance does."""
        recent = self._recent
        if len(recent) <= _WINDOW_S:
            return False
        leaving = recent[-_WINDOW_S - 1]
        if self._usual_rps is None:
            self._usual_rps = leaving
        self._usual_rps += (leaving - self._usual_rps) / _USUAL_OVER_S
        counted = sum(recent[-second] for second in range(1, _WINDOW_S + 1))
        # The root of a Poisson count has the same deviation, one half, whatever its mean.
        excess = math.sqrt(counted + 0.375) - math.sqrt(_WINDOW_S * self._usual_rps + 0.375)
        return excess > 0.5 * _SURGE_DEVIATIONS

    def _some_pod_is_dead(self) -> bool:
        """An endpoint that does not answer at all."""
        lost = {node.name for node in self._world.nodes.values() if not node.reachable}
        for deployment in self._world.services.values():
            for pod in deployment.pods:
                if (pod.stage is not Stage.SERVING or pod.node in lost) and pod.endpoint:
                    return True
        return False

    def _some_pod_is_late(self) -> bool:
        counters = self._world.engine.pods
        if int((counters.in_progress + counters.queued).max()) < self._harmless:
            return False  # nobody has enough to do to be late
        return any(
            pod.endpoint and self._is_late(pod)
            for deployment in self._world.services.values()
            for pod in deployment.pods
        )

    def _is_late(self, pod: Pod) -> bool:
        """A request that came now would be rejected, or would not be answered in time."""
        if pod.slot is None:
            return False
        counters = self._world.engine.pods
        in_progress, queued = int(counters.in_progress[pod.slot]), int(counters.queued[pod.slot])
        if in_progress + queued < self._harmless:
            return False
        if queued >= pod.spec.queue and in_progress >= pod.spec.concurrency:
            return True
        return self._world.engine.backlog_s(pod.slot) > TIMEOUT_S * _cores(pod.spec) * pod.share * pod.warmth

    def _read_gateway(self) -> float | None:
        services, row = self._world.engine.services, self._entry
        offered, failed, ok = int(services.offered[row]), int(services.failed[row]), int(services.ok[row])
        arrived, lost, answered = offered - self._offered, failed - self._failed, ok - self._ok
        self._offered, self._failed, self._ok = offered, failed, ok
        self.gateway_rate_rps = float(arrived)
        if self._has_read:  # the first reading counts from the beginning of time
            self._recent.append(float(arrived))
        self._has_read = True
        ended = lost + answered
        self.gateway_failed_ratio = lost / ended if ended > 0 else None
        return self.gateway_failed_ratio


def _cores(spec: Service) -> float:
    """What a pod's workers can use at most."""
    return min(spec.cpu_limit - spec.cpu_idle, float(spec.threads))
