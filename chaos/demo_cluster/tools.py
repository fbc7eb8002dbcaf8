"""kubectl and helm against the demo's cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.clusters.clients import Helm, Kubectl, built_helm
from chaos.clusters.cluster import Cluster
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.processes import Word
from chaos.clusters.programs import programs_folder


@dataclass(frozen=True, slots=True)
class Tools:
    """Every call raises `ClusterFailed` with what the program said when it fails."""

    kubectl: Kubectl
    helm: Helm

    def get(self, *words: Word) -> Any:
        return self.kubectl.json("get", *words)


def tools_for(cluster: Cluster, folders: ClusterFolders, environment: Mapping[str, str], home: Path) -> Tools:
    """Raises `ClusterFailed` where a program is not built. `home` is for helm's own files."""
    helm = built_helm(folders, environment)
    kubectl = Kubectl(programs_folder(folders) / "kubectl", cluster.kubeconfig)
    return Tools(kubectl, Helm(helm, cluster.kubeconfig, home))
