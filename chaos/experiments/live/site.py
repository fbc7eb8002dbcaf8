"""The cluster that an experiment is made on: one that is up, or one made for it with the project's own images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.charts import check_charts
from chaos.clusters.clients import Helm, Kubectl, built_helm
from chaos.clusters.images.current import current_image
from chaos.clusters.images.recipes import KEDA, RECIPES
from chaos.clusters.on_demand import KEDA as KEDAS_PROGRAMS
from chaos.clusters.on_demand import ready_set
from chaos.clusters.plan import ClusterPlan, Timers
from chaos.clusters.programs import programs_folder
from chaos.clusters.providers import BARE, folders_here, make_cluster, running_cluster
from chaos.experiments.live.assembly import Site


@dataclass(frozen=True, slots=True)
class SiteWanted:
    """`keep`: a cluster that was made for the experiment stays up afterwards, as one that was up before always does.

    `keda`: an arm needs its image on the nodes.
    """

    name: str
    provider: str
    timers: Timers
    nodes: int
    zones: int
    keep: bool
    keda: bool = False


def plan_of(wanted: SiteWanted, images: tuple[Path, ...] = ()) -> ClusterPlan:
    """Raises `PlanInvalid`."""
    return ClusterPlan(
        name=wanted.name,
        nodes=wanted.nodes,
        zones=wanted.zones,
        timers=wanted.timers,
        prometheus=wanted.provider == BARE,
        images=images,
    )


@contextmanager
def site(
    wanted: SiteWanted, home: Path, say: Callable[[str], None], environment: Mapping[str, str] = os.environ
) -> Iterator[Site]:
    """Up inside the block. `home` is for helm's own files. Raises `ClusterFailed`, `ImageInvalid`, `PlanInvalid`."""
    folders = folders_here(environment)
    keda = ready_set(folders, KEDAS_PROGRAMS) if wanted.keda else None
    helm = built_helm(folders, environment)
    check_charts()
    cluster = running_cluster(wanted.provider, wanted.name, say)
    was_up = bool(cluster.status())
    extra = () if keda is None else (current_image(KEDA, folders.images, keda),)
    if not was_up:
        say("images: built only where their sources have changed")
        images = tuple(current_image(recipe, folders.images) for recipe in RECIPES.values())
        cluster = make_cluster(wanted.provider, plan_of(wanted, (*images, *extra)), say)
    try:
        if not was_up:
            cluster.up()
        for archive in extra if was_up else ():
            cluster.load_image(archive)
        kubectl = Kubectl(_kubectl(wanted.provider, programs_folder(folders)), cluster.kubeconfig)
        own_prometheus = wanted.provider == BARE
        yield Site(cluster, kubectl, Helm(helm, cluster.kubeconfig, home), own_prometheus, keda=keda)
    finally:
        if not was_up and not wanted.keep:
            cluster.down()


def _kubectl(provider: str, programs: Path) -> Path:
    """Bare clusters bring one of their own version; with kind it is the user's."""
    return programs / "kubectl" if provider == BARE else Path("kubectl")
