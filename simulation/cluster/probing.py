"""The probes of a container, on the beat that its start has set."""

from __future__ import annotations

from math import ceil

from simulation.cluster.ground import Ground
from simulation.cluster.pods import Pod
from simulation.kernel.engine import ProbeKind
from simulation.streams import uniform
from simulation.topology import Probe


def start_probes(ground: Ground, pod: Pod) -> None:
    """From now on the kubelet probes the pod, which listens."""
    _start(ground, pod, ProbeKind.READINESS, pod.spec.readiness)
    if pod.spec.liveness is not None:
        _start(ground, pod, ProbeKind.LIVENESS, pod.spec.liveness)


def _start(ground: Ground, pod: Pod, kind: ProbeKind, probe: Probe) -> None:
    """Probes tick from the container's start; the first one sent is the first that finds it listening."""
    assert pod.slot is not None and pod.container_started_s is not None
    phase = uniform(ground.seed, "probe", kind.name, pod.service, pod.ordinal, pod.restarts)
    first_s = pod.container_started_s + probe.initial_delay_s + phase * probe.period_s
    if first_s < ground.now_s:
        first_s += probe.period_s * ceil((ground.now_s - first_s) / probe.period_s)
    ground.engine.set_probe(
        pod.slot,
        kind,
        probe.period_s,
        probe.timeout_s,
        probe.failure_threshold,
        probe.success_threshold,
        first_s,
        probe.cpu_ms / 1000.0,
    )
