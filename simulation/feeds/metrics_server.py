"""The metrics API that HPAs read: CPU of each pod as a rate over the last scrape window.

Facts: metrics-server scrapes every 15 s (its manifests' resolution) and answers with the newest rate, its timestamp and
its window; a pod without two scrapes has no sample, and neither has one whose kubelet does not answer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from simulation.hpa.values import PodSample
from simulation.world import World

RESOLUTION_S = 15.0
#: From a scrape to its answer in the API.
LAG_S = 0.5


@dataclass(frozen=True, slots=True)
class _Scrape:
    at_s: float
    visible_at_s: float
    usage: dict[str, tuple[int, float, float]]  # by pod: container restarts, cumulative CPU seconds, MiB


class MetricsServer:
    """Keeps the last scrapes; `cpu` and `memory` answer for one pod as the API would at the time of `look`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scrapes: deque[_Scrape] = deque(maxlen=16)
        self._now: _Scrape | None = None
        self._before: _Scrape | None = None

    def scrape(self, at_s: float) -> None:
        """Take in the cumulative CPU seconds and the memory of every container whose kubelet answers."""
        if not self._world.metrics_available():
            return
        cpu_s = self._world.usage.cpu_s(at_s).tolist()
        memory_mib = self._world.usage.memory_mib().tolist()
        nodes = self._world.nodes
        usage = {
            pod.name: (pod.restarts, cpu_s[pod.slot], memory_mib[pod.slot])
            for deployment in self._world.services.values()
            for pod in deployment.pods
            if pod.slot is not None and pod.node is not None and nodes[pod.node].reachable
        }
        visible_at_s = at_s + LAG_S + self._world.metrics_extra_lag_s()
        self._scrapes.append(_Scrape(at_s, visible_at_s, usage))

    def look(self, now_s: float) -> None:
        """Make the newest two scrapes that are visible the ones that answer."""
        visible = [scrape for scrape in self._scrapes if scrape.visible_at_s <= now_s]
        self._now = visible[-1] if visible else None
        self._before = visible[-2] if len(visible) > 1 else None

    def cpu(self, pod: str) -> PodSample | None:
        if self._now is None or self._before is None:
            return None
        after, before = self._now.usage.get(pod), self._before.usage.get(pod)
        if after is None or before is None or after[0] != before[0]:
            return None
        window_s = self._now.at_s - self._before.at_s
        return PodSample(round(1000 * (after[1] - before[1]) / window_s), self._now.at_s, window_s)

    def memory(self, pod: str) -> PodSample | None:
        """Bytes in thousandths, as the API's quantities are."""
        if self._now is None or pod not in self._now.usage:
            return None
        window_s = RESOLUTION_S if self._before is None else self._now.at_s - self._before.at_s
        return PodSample(round(self._now.usage[pod][2] * 1024 * 1024 * 1000), self._now.at_s, window_s)
