"""Where a cluster's things lie on this machine, and what its namespaces and cgroups are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.plan import ClusterPlan

CGROUPS = Path("/sys/fs/cgroup")  # version 1: one hierarchy for each controller
CGROUP_PARENT = "foresail-clusters"
NAMESPACES = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class Site:
    """One cluster on this machine."""

    plan: ClusterPlan
    state: Path
    programs: Path

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def images(self) -> Path:
        """Archives loaded since the cluster came up, for nodes that boot later."""
        return self.state / "images"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def inside_kubeconfig(self) -> Path:
        """For programs in the cluster's own network."""
        return self.pki / "inside.kubeconfig"

    @property
    def api_ready(self) -> Path:
        """There as soon as the API server answered: what needs it waits for this file."""
        return self.state / "api-ready"

    def machine_folder(self, machine: str) -> Path:
        return self.state / machine

    def namespace(self, machine: str) -> str:
        # Names of clusters have no dots, so no cluster's namespaces look like another's.
        return f"{namespace_prefix(self.name)}{machine}"

    def cgroup(self, machine: str) -> str:
        return f"{CGROUP_PARENT}/{self.name}/{machine}"


def namespace_prefix(cluster: str) -> str:
    return f"foresail.{cluster}."
