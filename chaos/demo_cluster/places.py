"""Where to look, once everything runs: ports on this machine and commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.bare.addresses import PROMETHEUS
from chaos.clusters.cluster import Cluster, ClusterFailed
from chaos.demo_cluster.installing import OPERATOR, SHOP, leader
from chaos.demo_cluster.tools import Tools


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses on this machine. They last as long as the cluster."""

    storefront: str
    prometheus: str
    foresail: str


def opened(cluster: Cluster, tools: Tools) -> Places:
    """Raises `ClusterFailed`."""
    service = tools.get("service/shop-gateway", "-n", SHOP)["spec"]
    name = leader(tools)
    if name is None:
        raise ClusterFailed(f"no operator leads: kubectl -n {OPERATOR} get pods")
    operator = tools.get(f"pod/{name}", "-n", OPERATOR)["status"]
    storefront = f"{service['clusterIP']}:{service['ports'][0]['port']}"
    ports = [cluster.forward(address).port for address in (storefront, PROMETHEUS, f"{operator['podIP']}:8080")]
    return Places(*(f"http://127.0.0.1:{port}" for port in ports))


def where_to_look(places: Places, kubeconfig: Path, kubectl: Path, stop: str) -> Iterator[str]:
    """Lines for people, the most useful first."""
    yield "Look around:"
    yield f"  export KUBECONFIG={kubeconfig} PATH=$PATH:{kubectl.parent}"
    yield f"  kubectl describe rp shop -n {SHOP}        # last decisions with their reasons, conditions"
    yield f"  kubectl get hpa,pods -n {SHOP} --watch    # floors in MINPODS, pods coming and going"
    yield f"  kubectl get events -n {SHOP} --sort-by=.lastTimestamp"
    yield f"  kubectl logs -n {OPERATOR} -l app.kubernetes.io/component=operator --tail=20"
    yield f"  {places.storefront}/    the storefront"
    yield f"  {places.prometheus}/    Prometheus; try foresail_forecast, foresail_floor"
    yield f"  {places.foresail}/metrics  and  {places.foresail}/decisions?limit=5    the operator that leads"
    yield "Stop:"
    yield f"  kubectl annotate rp shop -n {SHOP} foresail.dev/paused=true    # Foresail only; the shop goes on"
    yield f"  {stop}    # everything; nothing is left"
