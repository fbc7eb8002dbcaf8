"""A stand for experiments on a cluster that is up: ports and adapters put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from chaos.clusters.bare.addresses import PROMETHEUS
from chaos.clusters.charts import CHARTS
from chaos.clusters.clients import Helm, Kubectl
from chaos.clusters.cluster import Cluster, ClusterFailed
from chaos.clusters.images.recipes import KEDA
from chaos.experiments.injecting.stage import Verbs
from chaos.experiments.injecting.verbs import Switch
from chaos.experiments.live.api_reader import api_reader
from chaos.experiments.live.books import ShopBooks
from chaos.experiments.live.cluster_failures import cluster_failures_as
from chaos.experiments.live.fault_endpoint import MANAGEMENT_PORT, Door, HttpShopFaults
from chaos.experiments.live.installer import HelmInstaller, Releases
from chaos.experiments.live.keda_installation import KedaInstallation
from chaos.experiments.live.kube import KubePods, KubeWorkloads
from chaos.experiments.live.load_thread import ThreadedLoad
from chaos.experiments.live.machines import ProviderMachines
from chaos.experiments.live.observer import LiveObserver, decisions_of
from chaos.experiments.live.prometheus_rows import PrometheusRows
from chaos.experiments.live.shop_places import ShopPlaces
from chaos.experiments.live.switches import HungProgram, ScaledToZero, ServiceCut
from chaos.experiments.live.ways import Ways
from chaos.experiments.problems import RunFailed
from chaos.experiments.stand import Stand
from chaos.load.probe import ProbePlan
from chaos.load.run import run_load
from simulation.scenario import FaultKind

SHOP, OPERATOR = "shop", "foresail"
OPERATOR_REPLICAS = 2
_LONG_S = 600.0  # that an installation or an end of a namespace may take


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster that is up, and who talks to it. `own_prometheus`: it runs on the control plane, else the shop's chart
    brings one. `keda`: where its programs lie, whose image is on all nodes then."""

    cluster: Cluster
    kubectl: Kubectl
    helm: Helm
    own_prometheus: bool
    charts: Path = CHARTS
    keda: Path | None = None

    @property
    def prometheus_url(self) -> str:
        """As pods of the cluster reach it."""
        return f"http://{PROMETHEUS}" if self.own_prometheus else f"http://{SHOP}-prometheus.{SHOP}:9090"


@contextmanager
def stand_on(site: Site, probe: ProbePlan) -> Iterator[Stand]:
    """For one run, or to take back what one left: ways into the cluster end with the block."""
    with Ways(site.cluster.forward) as ways, api_reader(site.cluster.kubeconfig) as reader:
        places = ShopPlaces(site.kubectl, SHOP, OPERATOR)
        pods = KubePods(reader, site.kubectl, SHOP)
        faults = HttpShopFaults(
            token=cache(lambda: places.secret("faults-token")),
            address_of=places.pod_address,
            door_to=lambda address: Door("127.0.0.1", ways.port(f"{address}:{MANAGEMENT_PORT}")),
        )
        yield Stand(
            installer=_installer(site),
            load=ThreadedLoad(lambda: _storefront(places, ways), run_load, probe=probe),
            observer=_observer(site, places, ways, KubeWorkloads(reader, SHOP)),
            books=ShopBooks(places, ways),
            verbs=Verbs(pods, faults, ProviderMachines(site.cluster), pods, switches(site)),
        )


def switches(site: Site) -> Mapping[FaultKind, Switch]:
    """What of the control plane can be off: Prometheus and the API server hang, operators have no pods."""
    prometheus: Switch = (
        HungProgram(site.cluster, "prometheus")
        if site.own_prometheus
        else ServiceCut(site.kubectl, SHOP, f"{SHOP}-prometheus")
    )
    return {
        FaultKind.METRICS_OUTAGE: prometheus,
        FaultKind.API_OUTAGE: HungProgram(site.cluster, "kube-apiserver"),
        FaultKind.CONTROLLER_CRASH: ScaledToZero(site.kubectl, OPERATOR, OPERATOR, OPERATOR_REPLICAS),
    }


def _observer(site: Site, places: ShopPlaces, ways: Ways, workloads: KubeWorkloads) -> LiveObserver:
    def operators() -> list[str]:
        try:
            return [ways.url(address) for address in places.operators()]
        except ClusterFailed:
            return []

    def prometheus() -> str:
        with cluster_failures_as(RunFailed, "Prometheus is out of reach: {}"):
            return ways.url(PROMETHEUS if site.own_prometheus else f"{places.service_ip(f'{SHOP}-prometheus')}:9090")

    rows = PrometheusRows(prometheus, SHOP, SHOP)
    return LiveObserver(workloads, rows, decisions_of(operators))


def _installer(site: Site) -> HelmInstaller:
    kubectl = _patient(site.kubectl)
    return HelmInstaller(site.helm, kubectl, _releases(site), KedaInstallation(kubectl, KEDA.tag, site.keda))


def _releases(site: Site) -> Releases:
    """The tiny shop, which fits test clusters; a plan's topology says the rest."""
    tiny: dict[str, Any] = yaml.safe_load((site.charts / "demo-shop" / "values-tiny.yaml").read_text(encoding="utf-8"))
    return Releases(
        shop_chart=site.charts / "demo-shop",
        operator_chart=site.charts / "foresail",
        prometheus_url=site.prometheus_url,
        values={"prometheus": {"install": "off" if site.own_prometheus else "on"}},
        base=tiny,
        shop=SHOP,
        operator=OPERATOR,
    )


def _storefront(places: ShopPlaces, ways: Ways) -> str:
    with cluster_failures_as(RunFailed, "the shop's entry is out of reach: {}"):
        return ways.url(places.storefront())


def _patient(kubectl: Kubectl) -> Any:
    """kubectl that may wait for what an installation waits for."""

    def asked(*words: str, given: str | None = None) -> str:
        return kubectl(*words, given=given, limit_s=_LONG_S)

    return asked
