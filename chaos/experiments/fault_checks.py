"""Which faults can be made live, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.experiments.places import Places
from chaos.experiments.shop_map import ENDPOINT_ROLES, ROLES, STORES
from simulation.scenario import CROWDS, Fault, FaultKind
from simulation.topology import Topology

#: By the shop's fault endpoint, pod by pod.
BY_ENDPOINT = frozenset(
    {
        FaultKind.MEMORY_LEAK,
        FaultKind.POOL_CREEP,
        FaultKind.SLOW_DEPENDENCY,
        FaultKind.LATENCY_CREEP,
        FaultKind.ERROR_BURST,
        FaultKind.CPU_BURN,
        FaultKind.LOCK_CONTENTION,
        FaultKind.PAYMENT_TIMEOUTS,
    }
)
#: Faults of single pods of the shop's own services.
OF_PODS = BY_ENDPOINT | {FaultKind.POD_CRASH, FaultKind.CRASH_LOOP}

_NEVER = {
    FaultKind.NOISY_NEIGHBOUR: "nodes of a test cluster share one machine's processors: use cpu_burn with pods: 1",
    FaultKind.DISK_FILL: "the shop's volumes are not disks of their own: filling one would fill this machine's",
    FaultKind.REPLICATION_LAG: "nothing here slows the replay of PostgreSQL's log",
    FaultKind.METRICS_DELAY: "Prometheus has no setting that delays what it scraped",
}
_LONGEST_BY_ENDPOINT_S = 3600.0  # the endpoint's own bound


def refused_fault(
    fault: Fault, topology: Topology, places: Places, abilities: frozenset[FaultKind]
) -> Iterator[tuple[str, str]]:
    """Fields of the fault that cannot be done, each with the reason; nothing where it can."""
    if fault.kind in CROWDS:
        return
    if fault.kind in _NEVER:
        yield "kind", f"no {fault.kind.value} live: {_NEVER[fault.kind]}"
        return
    if fault.kind not in abilities:
        yield "kind", f"nothing on this cluster can make a {fault.kind.value}"
        return
    yield from _wrong_service(fault)
    if fault.kind in BY_ENDPOINT and fault.duration_s > _LONGEST_BY_ENDPOINT_S:
        yield "duration_s", f"the shop ends a fault by itself after {_LONGEST_BY_ENDPOINT_S:g} s: shorten it"
    if fault.zone is not None and fault.zone not in places.zones:
        yield "zone", f"the cluster has no {_nth(topology.zones.index(fault.zone))} zone; it has {len(places.zones)}"
    if fault.node is not None and fault.node not in places.nodes:
        yield "node", f"no machine of the cluster stands for {fault.node}; these are there: {', '.join(places.nodes)}"
    if fault.kind is FaultKind.NODE_LOSS and round(fault.size) >= len(places.nodes):
        yield "magnitude", f"{fault.size:g} nodes are all {len(places.nodes)} that the cluster and the topology share"


def _wrong_service(fault: Fault) -> Iterator[tuple[str, str]]:
    if fault.service is None:
        return
    if fault.kind in OF_PODS and fault.service in STORES:
        yield "service", f"{fault.service} is no process of the shop's own: stores have primary_loss and cache_loss"
    elif fault.kind in ENDPOINT_ROLES and fault.service not in ENDPOINT_ROLES[fault.kind]:
        able = ", ".join(role for role in ROLES if role in ENDPOINT_ROLES[fault.kind])
        yield "service", f"{fault.service} cannot have a {fault.kind.value} live; these can: {able}"
    elif fault.kind is FaultKind.PRIMARY_LOSS and fault.service != "postgres":
        yield "service", f"{fault.service} has no primary that could be killed live: use postgres"
    elif fault.kind is FaultKind.CACHE_LOSS and fault.service != "redis":
        yield "service", f"{fault.service} is no cache live: use redis"


def _nth(index: int) -> str:
    return {0: "first", 1: "second", 2: "third"}.get(index, f"{index + 1}th")
