"""What is looked at each second: endpoints to probe, gateways to read, peers to ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from foresail.objects import names
from foresail.objects.databases import url_host
from foresail.objects.object_state import ObjectState
from foresail.objects.records import PodRecord, ProbeTarget
from foresail.objects.workload_views import zone_of


@dataclass(frozen=True, slots=True)
class Probed:
    """One pod and where it is probed."""

    workload: str
    pod: str
    node: str | None
    zone: str | None
    ip: str
    target: ProbeTarget

    @property
    def key(self) -> str:
        return f"{self.workload}/{self.pod}"


@dataclass(frozen=True, slots=True)
class GatewayTarget:
    """A workload whose pods count client requests, and where each pod shows its counters."""

    workload: str
    port: int = 9090
    path: str = "/metrics"


@dataclass(frozen=True, slots=True)
class GatewayPod:
    workload: str
    pod: str
    url: str


@dataclass(frozen=True, slots=True)
class Peer:
    """Another replica of the operator: the address of its probe results, and where it looks from."""

    url: str
    zone: str
    node: str | None = None


@dataclass(frozen=True, slots=True)
class FastPlan:
    """`zone`: where we look from ourselves."""

    zone: str
    probed: tuple[Probed, ...] = ()
    gateways: tuple[GatewayPod, ...] = ()
    peers: tuple[Peer, ...] = ()


def probed_pods(state: ObjectState, workloads: Iterable[str]) -> tuple[Probed, ...]:
    """Every pod that is in its Service's endpoints, or was until our label took it out.

    Workloads that are not there, and pods that tell no port, are left out.
    """
    zones = {node.meta.name: zone_of(node) for node in state.nodes.values()}
    found = []
    for key in workloads:
        workload = state.workloads.get(key)
        target = None if workload is None else workload.record.template.probe
        if workload is None or target is None:
            continue
        for pod in workload.pods:
            if pod.ip is not None and not pod.deleting and (pod.ready_at_s is not None or is_off(pod)):
                zone = None if pod.node is None else zones.get(pod.node)
                found.append(Probed(key, pod.meta.name, pod.node, zone, pod.ip, target))
    return tuple(found)


def gateway_pods(state: ObjectState, gateways: Sequence[GatewayTarget]) -> tuple[GatewayPod, ...]:
    """Every gateway pod that can have answered clients."""
    return tuple(
        GatewayPod(gateway.workload, pod.meta.name, f"http://{url_host(pod.ip)}:{gateway.port}{gateway.path}")
        for gateway in gateways
        if (workload := state.workloads.get(gateway.workload)) is not None
        for pod in workload.pods
        if pod.ip is not None and pod.phase == "Running" and pod.ready_at_s is not None
    )


def operator_peers(
    state: ObjectState, namespace: str, labels: Mapping[str, str], own_pod: str, port: int, path: str = "/probes"
) -> tuple[Peer, ...]:
    """Our other replicas. A replica that runs but does not answer stays among them: its silence says something."""
    zones = {node.meta.name: zone_of(node) for node in state.nodes.values()}
    return tuple(
        Peer(f"http://{url_host(pod.ip)}:{port}{path}", zones.get(pod.node, pod.node), pod.node)
        for pod in sorted(state.pods.values(), key=lambda pod: pod.meta.name)
        if pod.meta.namespace == namespace
        and pod.meta.name != own_pod
        and pod.ip is not None
        and pod.node is not None
        and pod.phase == "Running"
        and not pod.deleting
        and all(pod.meta.labels.get(key) == value for key, value in labels.items())
    )


def own_zone(state: ObjectState, node: str | None) -> str:
    """Where this replica looks from: its node's zone, or the node itself while that is not known."""
    found = None if node is None else state.nodes.get(node)
    return zone_of(found) if found is not None else node or "unknown"


def is_off(pod: PodRecord) -> bool:
    """Whether our label keeps it out of its Services."""
    return pod.meta.labels.get(names.TRAFFIC_LABEL) == names.TRAFFIC_OFF
