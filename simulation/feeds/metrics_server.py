"""The metrics API that HPAs read: CPU of each pod as a rate over the last scrape window.

Facts: kubelets read their containers' usage every 10 s (cAdvisor's housekeeping); metrics-server scrapes what they read
last every 15 s (its manifests' resolution) and answers with the newest rate, its timestamp and its window. A pod
without two readings has no sample, and neither has one whose kubelet does not answer. Here all kubelets read at the
same time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from simulation.hpa.values import PodSample
from simulation.world import World

HOUSEKEEPING_S = 10.0
RESOLUTION_S = 15.0
#: From a scrape to its answer in the API.
LAG_S = 0.5


#: By pod: container restarts, cumulative CPU seconds, MiB.
_Usage = dict[str, tuple[int, float, float]]


@dataclass(frozen=True, slots=True)
class _Scrape:
    at_s: float  # when the kubelets read
    visible_at_s: float
    usage: _Usage


class MetricsServer:
    """Keeps the last scrapes; `cpu` and `memory` answer for one pod as the API would at the time of `look`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read_at_s = world.now_s
        self._read: _Usage = {}
        self._scrapes: deque[_Scrape] = deque(maxlen=16)
        self._now: _Scrape | None = None
        self._before: _Scrape | None = None

    def housekeep(self, at_s: float) -> None:
        """Kubelets read the cumulative CPU seconds and the memory of every container that they run."""
        cpu_s = self._world.usage.cpu_s(at_s).tolist()
        memory_mib = self._world.usage.memory_mib().tolist()
        nodes = self._world.nodes
        self._read_at_s = at_s
        self._read = {
            pod.name: (pod.restarts, cpu_s[pod.slot], memory_mib[pod.slot])
            for deployment in self._world.services.values()
            for pod in deployment.pods
            if pod.slot is not None and pod.node is not None and nodes[pod.node].reachable
        }

    def scrape(self, at_s: float) -> None:
        """Take in what the kubelets read last, unless nothing is new."""
        if not self._world.metrics_available() or (self._scrapes and self._scrapes[-1].at_s == self._read_at_s):
            return
        visible_at_s = at_s + LAG_S + self._world.metrics_extra_lag_s()
        self._scrapes.append(_Scrape(self._read_at_s, visible_at_s, self._read))

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
