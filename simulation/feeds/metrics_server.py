"""The metrics API that HPAs read: CPU of each pod as a rate between its last two readings.

Facts: cAdvisor in the kubelet reads a container when it starts and then again and again after 10 to 20 s, each
container for itself (its interval of 10 s is jittered by up to as much again). metrics-server scrapes what was read
last every 15 s (its manifests' resolution) and answers with the rate between the newest two readings, with the time of
the last and the window between them. A pod without two readings has no sample, and neither has one whose kubelet does
not answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from simulation.cluster.pods import Pod
from simulation.hpa.values import PodSample
from simulation.streams import between
from simulation.world import World

#: Readings fall on this beat of whole seconds, at which the world stops anyway.
HOUSEKEEPING_BEAT_S = 2.0
READ_AGAIN_S = (10.0, 20.0)
RESOLUTION_S = 15.0
#: From a scrape to its answer in the API.
LAG_S = 0.5


@dataclass(frozen=True, slots=True)
class _Reading:
    """One look of a kubelet at a container."""

    at_s: float
    restarts: int
    cpu_s: float  # cumulative
    memory_mib: float


@dataclass(frozen=True, slots=True)
class _Scrape:
    visible_at_s: float
    newest: Mapping[str, _Reading]  # by pod
    before: Mapping[str, _Reading]


_NOTHING = _Scrape(float("-inf"), {}, {})


class MetricsServer:
    """Keeps the last scrapes; `cpu` and `memory` answer for one pod as the API would at the time of `look`."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._readings: dict[str, _Reading] = {}
        self._read_again_s: dict[str, float] = {}
        self._scrapes = deque([_NOTHING], maxlen=16)
        self._seen = _NOTHING

    def housekeep(self, at_s: float) -> None:
        """Kubelets read the cumulative CPU seconds and the memory of the containers whose turn it is."""
        due = [pod for pod in self._running() if self._read_again_s.get(pod.name, at_s) <= at_s]
        if not due:
            return
        cpu_s, memory_mib = self._world.usage.cpu_s(at_s), self._world.usage.memory_mib()
        for pod in due:
            slot = pod.slot
            self._readings[pod.name] = _Reading(at_s, pod.restarts, float(cpu_s[slot]), float(memory_mib[slot]))
            pause_s = between(*READ_AGAIN_S, self._seed, "housekeeping", pod.name, at_s)
            self._read_again_s[pod.name] = at_s + pause_s

    def _running(self) -> list[Pod]:
        return [
            pod
            for deployment in self._world.services.values()
            for pod in deployment.pods
            if pod.slot is not None and pod.node is not None
        ]

    def scrape(self, at_s: float) -> None:
        """Take in what the reachable kubelets read last; a pod that they no longer have is forgotten."""
        if not self._world.metrics_available():
            return
        nodes = self._world.nodes
        last = self._scrapes[-1]
        newest: dict[str, _Reading] = {}
        before: dict[str, _Reading] = {}
        for pod in self._running():
            reading = self._readings.get(pod.name)
            if reading is None or pod.node is None or not nodes[pod.node].reachable:
                continue
            newest[pod.name] = reading
            previous = last.newest.get(pod.name)
            if previous is not None and previous.at_s == reading.at_s:
                previous = last.before.get(pod.name)  # nothing new: the rate stays
            if previous is not None and previous.restarts == reading.restarts:
                before[pod.name] = previous
        visible_at_s = at_s + LAG_S + self._world.metrics_extra_lag_s()
        self._scrapes.append(_Scrape(visible_at_s, newest, before))

    def look(self, now_s: float) -> None:
        """Make the newest scrape that is visible the one that answers."""
        self._seen = next((scrape for scrape in reversed(self._scrapes) if scrape.visible_at_s <= now_s), _NOTHING)

    def cpu(self, pod: str) -> PodSample | None:
        now, before = self._seen.newest.get(pod), self._seen.before.get(pod)
        if now is None or before is None:
            return None
        window_s = now.at_s - before.at_s
        return PodSample(round(1000 * (now.cpu_s - before.cpu_s) / window_s), now.at_s, window_s)

    def memory(self, pod: str) -> PodSample | None:
        """Bytes in thousandths, as the API's quantities are."""
        now, before = self._seen.newest.get(pod), self._seen.before.get(pod)
        if now is None:
            return None
        window_s = RESOLUTION_S if before is None else now.at_s - before.at_s
        return PodSample(round(now.memory_mib * 1024 * 1024 * 1000), now.at_s, window_s)
