"""What of the demo shop stands for what in a scenario's topology."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from chaos.load.mix import MIXES, Mix, Operation
from simulation.scenario import FaultKind
from simulation.topology import Service, Topology
from simulation.visits import capacity_rps

#: Deployments of the chart, by the name of the service that they are in a topology.
ROLES = ("gateway", "catalog", "cart", "checkout", "inventory", "payment", "recommendations", "pricing")
STORES = ("postgres", "redis")
ENTRY = "gateway"

#: What visitors of a class do, by the operation that the class enters at.
VISITS: Mapping[str, tuple[Operation, ...]] = {
    "gateway.browse": (Operation.FRONT, Operation.CATEGORY, Operation.PRODUCT),
    "gateway.search": (Operation.SEARCH,),
    "gateway.cart": (Operation.CART,),
    "gateway.checkout": (Operation.CHECKOUT,),
}

#: The entry operation that a request of the load belongs to, by the name in its record.
ENTERS_AT: Mapping[str, str] = {
    "front": "gateway.browse",
    "category": "gateway.browse",
    "product": "gateway.browse",
    "search": "gateway.search",
    "cart-open": "gateway.cart",
    "cart-line": "gateway.cart",
    "cart-view": "gateway.cart",
    "order": "gateway.checkout",
}

#: Roles that know a fault by its endpoint; all do where nothing is said.
ENDPOINT_ROLES: Mapping[FaultKind, frozenset[str]] = {
    FaultKind.POOL_CREEP: frozenset({"catalog", "checkout", "inventory", "payment", "pricing", "recommendations"}),
    FaultKind.LOCK_CONTENTION: frozenset({"inventory"}),
    FaultKind.PAYMENT_TIMEOUTS: frozenset({"payment"}),
}
#: Whose processes lose a cache: the catalogue's, whose answers the store holds.
CACHE_ROLE = "catalog"


def live_mix(topology: Topology) -> Mix:
    """Shares of visits: those of the classes, browsing split into pages as the shop's own mix splits it.

    Every class enters at an operation of `VISITS`. A cart and a checkout are several requests live and one in the
    simulator; the rate of requests is the scenario's in both.
    """
    usual = MIXES["shop"].shares
    shares: dict[Operation, float] = {}
    for request_class in topology.classes:
        visits = VISITS[request_class.operation]
        total = sum(usual[visit] for visit in visits)
        for visit in visits:
            shares[visit] = shares.get(visit, 0.0) + request_class.share * usual[visit] / total
    return Mix(shares)


def shop_values(topology: Topology, latency_slo_s: float, availability_slo: float) -> dict[str, Any]:
    """Values of the demo shop's chart that make it the topology's shop, as far as a chart can.

    How fast pods start and what a request costs are the shop's own; `foresail calibrate` carries them the other way.
    """
    capacity = capacity_rps(topology)
    roles = {s.name: _role(s, capacity[s.name]) for s in topology.services if s.name in ROLES}
    pools = {s.pool_size for s in topology.services if s.name in ROLES and s.pool_size > 0}
    stores = {s.name: s for s in topology.services if s.name in STORES}
    values: dict[str, Any] = {
        "roles": roles,
        "shop": {"faults": True, "rateLimit": {"rps": 0}},
        "resilience": {"latencySeconds": latency_slo_s, "availability": availability_slo},
    }
    if len(pools) == 1:
        values["shop"]["databasePoolSize"] = pools.pop()
    if "postgres" in stores:
        values["postgres"] = {"members": stores["postgres"].replicas, "resources": _resources(stores["postgres"])}
    if "redis" in stores:
        values["redis"] = {"resources": _resources(stores["redis"])}
    return values


def _role(service: Service, capacity_rps: float) -> dict[str, Any]:
    """With what a load test of one pod would find: live there is no history that Foresail could learn it from."""
    hpa = service.hpa
    prior = {"capacityPriorRequestsPerSecond": float(f"{capacity_rps:.3g}")} if isfinite(capacity_rps) else {}
    return {
        "minReplicas": service.replicas if hpa is None else hpa.min_replicas,
        "maxReplicas": service.replicas if hpa is None else hpa.max_replicas,
        "resources": _resources(service),
        **prior,
    }


def _resources(service: Service) -> dict[str, dict[str, str]]:
    return {
        "requests": {"cpu": _cpu(service.cpu_request), "memory": _memory(service.memory_request_mib)},
        "limits": {"cpu": _cpu(service.cpu_limit), "memory": _memory(service.memory_limit_mib)},
    }


def _cpu(cores: float) -> str:
    return f"{round(cores * 1000)}m"


def _memory(mib: float) -> str:
    return f"{round(mib)}Mi"


def service_of(workload: str) -> str:
    """The topology's name of a live workload: `shop/shop-gateway` is the gateway."""
    return workload.rpartition("/")[2].rpartition("-")[2]


def merged(*overlays: Mapping[str, Any]) -> dict[str, Any]:
    """Values as helm would merge files of them: later ones win, mappings are merged, lists replaced."""
    whole: dict[str, Any] = {}
    for overlay in overlays:
        for key, value in overlay.items():
            before = whole.get(key)
            both = isinstance(before, Mapping) and isinstance(value, Mapping)
            whole[key] = merged(before, value) if both else value  # type: ignore[arg-type]
    return whole
