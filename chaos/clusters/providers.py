"""Which provider makes a cluster, and what it needs to be told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from chaos.clusters.bare.cgroups import is_version_1
from chaos.clusters.bare.cluster import BareCluster
from chaos.clusters.bare.record import read_record
from chaos.clusters.bare.site import CGROUPS, Site
from chaos.clusters.cluster import Cluster
from chaos.clusters.folders import ClusterFolders, cache_folder
from chaos.clusters.kind.cluster import KindCluster, docker_answers
from chaos.clusters.plan import ClusterPlan, PlanInvalid
from chaos.clusters.processes import run
from chaos.clusters.programs import missing_programs, programs_folder

BARE, KIND = "bare", "kind"
PROVIDERS = (BARE, KIND)


def make_cluster(provider: str, plan: ClusterPlan, say: Callable[[str], None]) -> Cluster:
    """The cluster of this plan, up or not. Raises `PlanInvalid` for a provider that there is not."""
    folders = folders_here(os.environ)
    if provider == KIND:
        return KindCluster(plan, folders, run, say)
    if provider == BARE:
        return bare_cluster(plan, folders, say)
    raise PlanInvalid(f"provider: {provider!r} is unknown: use {' or '.join(PROVIDERS)}")


def bare_cluster(plan: ClusterPlan, folders: ClusterFolders, say: Callable[[str], None]) -> BareCluster:
    return BareCluster(Site(plan, folders.state(plan.name), programs_folder(folders)), folders, say)


def running_cluster(provider: str, name: str, say: Callable[[str], None]) -> Cluster:
    """A cluster by its name alone, with the plan that it came up by, if it is up."""
    folders = folders_here(os.environ)
    record = read_record(folders.state(name)) if provider == BARE else None
    if record is None:
        return make_cluster(provider, ClusterPlan(name=name), say)
    return BareCluster(Site(record.plan, folders.state(name), record.programs), folders, say)


def default_provider() -> str:
    """`bare` where processes may make namespaces of version 1 cgroups; else `kind` where Docker is."""
    if os.geteuid() != 0 and docker_answers(run):
        return KIND
    return BARE


def why_not_bare() -> str | None:
    """What this machine can never give a bare cluster, programs aside; None: nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not is_version_1(CGROUPS):
        return "needs cgroup version 1"
    return None


def why_no_bare_cluster(environment: Mapping[str, str], *, with_optional: bool = True) -> str | None:
    """Why no bare cluster can come up here and now; None: it can."""
    missing = missing_programs(folders_here(environment), with_optional=with_optional)
    return why_not_bare() or (f"not built: {', '.join(missing)}; run `foresail cluster build`" if missing else None)


def folders_here(environment: Mapping[str, str]) -> ClusterFolders:
    return ClusterFolders(cache_folder(environment))
