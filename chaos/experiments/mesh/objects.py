"""A scenario's faults as objects of Chaos Mesh (chaos-mesh.org/v1alpha1): pure rendering, nothing is applied.

Chaos Mesh knows no ramps, no nodes and no leaks that grow for ever; each object says in an annotation what is
different. Field names are those of its API types (podchaos, networkchaos, stresschaos, httpchaos, schedule).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.clusters.plan import ZONE_LABEL
from simulation.scenario import CROWDS, Fault, FaultKind, Scenario

API_VERSION = "chaos-mesh.org/v1alpha1"
DIFFERENCE = "foresail.dev/differs"
TRAFFIC_PORT = 8080
CRASHES_EVERY_S = 20  # of a crash loop
#: How the chart has Patroni label the pod that takes writes.
PRIMARY = {"demo-shop/database-role": "primary"}

Spec = dict[str, Any]
Rendered = tuple[str, Spec, str]  # kind, spec, what is different ("" where nothing is)


@dataclass(frozen=True, slots=True)
class MeshTarget:
    """Where the shop is installed. `zones` are the cluster's names of the topology's zones."""

    namespace: str
    release: str
    zones: Mapping[str, str]
    operator_namespace: str = "foresail"
    prometheus: Mapping[str, str] | None = None  # labels of its pods in the shop's namespace


@dataclass(frozen=True, slots=True)
class NotInMesh:
    """A fault that Chaos Mesh has nothing for."""

    index: int
    why: str


def mesh_objects(scenario: Scenario, target: MeshTarget) -> tuple[tuple[dict[str, Any], ...], tuple[NotInMesh, ...]]:
    """Objects to apply when each fault starts, in the order of the faults, and the faults that have none. Crowds are
    load and in neither."""
    objects: list[dict[str, Any]] = []
    missing: list[NotInMesh] = []
    for index, fault in enumerate(scenario.faults):
        if fault.kind in CROWDS:
            continue
        if fault.kind in _MISSING:
            missing.append(NotInMesh(index, _MISSING[fault.kind]))
            continue
        for number, rendered in enumerate(_HOW[fault.kind](fault, target)):
            name = f"{scenario.name[:40]}-{index}" + (f"-{number}" if number else "")
            objects.append(_manifest(name, target.namespace, fault, rendered))
    return tuple(objects), tuple(missing)


def duration(seconds: float) -> str:
    """As Go reads it: 90s, 1500ms."""
    return f"{seconds:.0f}s" if seconds == round(seconds) else f"{1000.0 * seconds:.0f}ms"


def _manifest(name: str, namespace: str, fault: Fault, rendered: Rendered) -> dict[str, Any]:
    kind, spec, difference = rendered
    told = [difference] if difference else []
    if fault.ramp_s > 0.0:
        told.append(f"no ramp: at once, not over {fault.ramp_s:g} s")
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if told:
        metadata["annotations"] = {DIFFERENCE: "; ".join(told)}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _labels(target: MeshTarget, service: str) -> dict[str, str]:
    return {"app.kubernetes.io/instance": target.release, "app.kubernetes.io/component": service}


def _pods(fault: Fault, target: MeshTarget) -> Spec:
    """The service's pods, or as many of them as the fault hits, chosen by Chaos Mesh."""
    assert fault.service is not None
    chosen: Spec = {
        "selector": {"namespaces": [target.namespace], "labelSelectors": _labels(target, fault.service)},
        "mode": "all",
    }
    return chosen if fault.pods is None else {**chosen, **_fixed(fault.pods)}


def _fixed(count: int) -> Spec:
    return {"mode": "fixed", "value": str(count)}


def _share(ratio: float) -> Spec:
    return {"mode": "fixed-percent", "value": str(max(1, round(100.0 * ratio)))}


def _pod_crash(fault: Fault, target: MeshTarget) -> list[Rendered]:
    count = fault.pods if fault.pods is not None else max(1, round(fault.size))
    spec = {
        **_pods(fault, target),
        **_fixed(count),
        "action": "container-kill",
        "containerNames": [fault.service],
    }
    return [("PodChaos", spec, "")]


def _crash_loop(fault: Fault, target: MeshTarget) -> list[Rendered]:
    spread = _share(fault.size) if fault.pods is None else _fixed(fault.pods)
    once = {**_pods(fault, target), **spread, "action": "container-kill", "containerNames": [fault.service]}
    spec = {
        "schedule": f"@every {CRASHES_EVERY_S}s",
        "historyLimit": 1,
        "concurrencyPolicy": "Forbid",
        "type": "PodChaos",
        "podChaos": once,
    }
    return [("Schedule", spec, f"other pods each time; delete it after {fault.duration_s:g} s")]


def _memory_leak(fault: Fault, target: MeshTarget) -> list[Rendered]:
    minutes = fault.duration_s / 60.0
    stress = {"workers": 1, "size": f"{fault.size * minutes:.0f}MB", "time": duration(fault.duration_s)}
    spec = {
        **_pods(fault, target),
        "containerNames": [fault.service],
        "stressors": {"memory": stress},
        "duration": duration(fault.duration_s),
    }
    return [("StressChaos", spec, "memory of a process beside the shop's; what a restart freed is not leaked again")]


def _cpu_burn(fault: Fault, target: MeshTarget) -> list[Rendered]:
    workers = max(1, math.ceil(fault.size))
    spec = {
        **_pods(fault, target),
        "containerNames": [fault.service],
        "stressors": {"cpu": {"workers": workers, "load": round(100.0 * fault.size / workers)}},
        "duration": duration(fault.duration_s),
    }
    return [("StressChaos", spec, "")]


def _delay(fault: Fault, target: MeshTarget) -> list[Rendered]:
    spec = {
        **_pods(fault, target),
        "action": "delay",
        "delay": {"latency": duration(fault.size), "jitter": "0ms", "correlation": "0"},
        "direction": "to",
        "duration": duration(fault.duration_s),
    }
    return [("NetworkChaos", spec, "every packet that leaves the pods is late, calls of theirs too")]


def _error_burst(fault: Fault, target: MeshTarget) -> list[Rendered]:
    spec = {
        **_pods(fault, target),
        **_share(fault.size),
        "target": "Response",
        "port": TRAFFIC_PORT,
        "path": "*",
        "replace": {"code": 500},
        "duration": duration(fault.duration_s),
    }
    return [("HTTPChaos", spec, "all answers of a share of the pods, not a share of all answers")]


def _zone_cut(fault: Fault, target: MeshTarget) -> list[Rendered]:
    """One partition for each other zone: a selector cannot say "not this one"."""
    assert fault.zone is not None
    return [
        (
            "NetworkChaos",
            {
                **_zone(target, fault.zone),
                "action": "partition",
                "direction": "both",
                "target": _zone(target, other),
                "duration": duration(fault.duration_s),
            },
            "pods of the shop only: nodes keep their contact to the API server",
        )
        for other in target.zones
        if other != fault.zone
    ]


def _zone(target: MeshTarget, zone: str) -> Spec:
    nodes = {ZONE_LABEL: target.zones[zone]}
    return {"selector": {"namespaces": [target.namespace], "nodeSelectors": nodes}, "mode": "all"}


def _zone_loss(fault: Fault, target: MeshTarget) -> list[Rendered]:
    assert fault.zone is not None
    spec = {**_zone(target, fault.zone), "action": "pod-failure", "duration": duration(fault.duration_s)}
    return [("PodChaos", spec, "pods of the zone fail; its nodes stay Ready, so that replacements may land there")]


def _primary_loss(fault: Fault, target: MeshTarget) -> list[Rendered]:
    pods = _pods(fault, target)
    pods["selector"]["labelSelectors"].update(PRIMARY)
    spec = {**pods, "mode": "one", "action": "pod-failure", "duration": duration(fault.duration_s)}
    return [("PodChaos", spec, "")]


def _metrics_outage(fault: Fault, target: MeshTarget) -> list[Rendered]:
    spec = {
        "selector": {"namespaces": [target.namespace], "labelSelectors": dict(target.prometheus or {})},
        "mode": "all",
        "action": "partition",
        "direction": "both",
        "target": {"selector": {"namespaces": [target.operator_namespace]}, "mode": "all"},
        "duration": duration(fault.duration_s),
    }
    return [("NetworkChaos", spec, "Prometheus goes on scraping: afterwards it knows what happened")]


def _controller_crash(fault: Fault, target: MeshTarget) -> list[Rendered]:
    spec = {
        "selector": {"namespaces": [target.operator_namespace]},
        "mode": "all",
        "action": "pod-failure",
        "duration": duration(fault.duration_s),
    }
    return [("PodChaos", spec, "")]


_HOW: Mapping[FaultKind, Callable[[Fault, MeshTarget], Sequence[Rendered]]] = {
    FaultKind.POD_CRASH: _pod_crash,
    FaultKind.CRASH_LOOP: _crash_loop,
    FaultKind.MEMORY_LEAK: _memory_leak,
    FaultKind.CPU_BURN: _cpu_burn,
    FaultKind.SLOW_DEPENDENCY: _delay,
    FaultKind.LATENCY_CREEP: _delay,
    FaultKind.ERROR_BURST: _error_burst,
    FaultKind.ZONE_CUT: _zone_cut,
    FaultKind.ZONE_LOSS: _zone_loss,
    FaultKind.PRIMARY_LOSS: _primary_loss,
    FaultKind.METRICS_OUTAGE: _metrics_outage,
    FaultKind.CONTROLLER_CRASH: _controller_crash,
}
_MISSING: Mapping[FaultKind, str] = {
    FaultKind.POOL_CREEP: "it cannot take connections out of a process's pool",
    FaultKind.NOISY_NEIGHBOUR: "it stresses containers, not nodes",
    FaultKind.NODE_LOSS: "it has no faults of nodes",
    FaultKind.LOCK_CONTENTION: "it cannot lock rows of a database",
    FaultKind.PAYMENT_TIMEOUTS: "it cannot keep a share of calls from being answered",
    FaultKind.DISK_FILL: "it slows or breaks file operations, it fills no disks",
    FaultKind.REPLICATION_LAG: "it cannot slow the replay of PostgreSQL's log",
    FaultKind.CACHE_LOSS: "it cannot delete keys of a cache",
    FaultKind.METRICS_DELAY: "it cannot delay scrapes that have been made",
    FaultKind.API_OUTAGE: "it needs the API server itself",
}
