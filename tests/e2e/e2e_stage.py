"""The cluster that all end-to-end tests of one run share: made with the project's images, or a running one reused."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_programs import Helm, Kubectl

from chaos.clusters.bare.abandoned import take_down_abandoned
from chaos.clusters.clients import helm_program
from chaos.clusters.cluster import Cluster, ClusterFailed
from chaos.clusters.images.current import current_image
from chaos.clusters.images.recipes import RECIPES
from chaos.clusters.plan import ClusterPlan
from chaos.clusters.programs import programs_folder
from chaos.clusters.providers import BARE, bare_cluster, folders_here, running_cluster, why_no_bare_cluster

#: A running cluster of this name is used as it is, images and installed charts included, and left up.
REUSED = "FORESAIL_E2E_CLUSTER"
#: Where the cluster's own Prometheus answers, in its network.
PROMETHEUS = "http://198.18.0.1:9090"
IMAGES = ("operator", "shop", "stores")
SHOP, LIGHT, OPERATOR = "shop", "light", "foresail"


@dataclass(frozen=True, slots=True)
class Stage:
    """A real cluster, and who talks to it. Namespaces SHOP, LIGHT and OPERATOR are there."""

    name: str
    cluster: Cluster
    kubectl: Kubectl
    helm: Helm


def why_not(environment: Mapping[str, str] = os.environ) -> str | None:
    """What this machine lacks for the tests; None: nothing."""
    helm = (
        None
        if helm_program(folders_here(environment), environment).exists()
        else "helm is not built here; `make charts` builds it"
    )
    return why_no_bare_cluster(environment) or helm


@contextmanager
def stage(home: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Stage]:
    """`home` is a folder for the run's own files."""
    name = environment.get(REUSED, "")
    if name:
        cluster = running_cluster(BARE, name, lambda _: None)
        if not cluster.status():
            raise ClusterFailed(f"{REUSED}: no cluster {name} is up")
        yield _set_up(name, cluster, home, environment)
        return
    folders, name = folders_here(environment), f"e2e-{os.getpid()}"
    take_down_abandoned(folders, ("e2e",))
    images = tuple(current_image(RECIPES[what], folders.images) for what in IMAGES)
    made = bare_cluster(ClusterPlan(name=name, prometheus=True, images=images), folders, lambda _: None)
    try:
        made.up()
        yield _set_up(name, made, home, environment)
    finally:
        made.down()


def required_or_skipped(environment: Mapping[str, str] = os.environ) -> None:
    """Skips what needs the cluster, with the reason; in CI a test that cannot run has failed."""
    reason = why_not(environment)
    if reason is not None:
        if environment.get("CI", "").lower() == "true":
            pytest.fail(f"end-to-end tests cannot run: {reason}")
        pytest.skip(reason)


def _set_up(name: str, cluster: Cluster, home: Path, environment: Mapping[str, str]) -> Stage:
    kubectl = Kubectl(programs_folder(folders_here(environment)) / "kubectl", cluster.kubeconfig)
    for namespace in (SHOP, LIGHT, OPERATOR):
        kubectl.make_namespace(namespace)
    helm = helm_program(folders_here(environment), environment)
    return Stage(name, cluster, kubectl, Helm(helm, cluster.kubeconfig, home / "helm"))
