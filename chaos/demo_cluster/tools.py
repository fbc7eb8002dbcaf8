"""kubectl and helm against the demo's cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.clusters.cluster import Cluster, ClusterFailed
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.processes import Word, run
from chaos.clusters.programs import programs_folder

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tools:
    """Every call raises `ClusterFailed` with what the program said when it fails."""

    kubectl_program: Path
    helm_program: Path
    kubeconfig: Path
    home: Path  # of helm's own files

    def kubectl(self, *words: Word, given: str | None = None, limit_s: float = 120.0) -> str:
        return run(self.kubectl_program, f"--kubeconfig={self.kubeconfig}", *words, given=given, limit_s=limit_s)

    def get(self, *words: Word) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def helm(self, *words: Word, limit_s: float = 600.0) -> str:
        homes = {f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {**os.environ, **homes, "KUBECONFIG": str(self.kubeconfig)}
        return run(self.helm_program, *words, environment=environment, limit_s=limit_s)


def tools_for(cluster: Cluster, folders: ClusterFolders, environment: Mapping[str, str], home: Path) -> Tools:
    """Raises `ClusterFailed` where a program is not built."""
    helm = Path(environment.get("FORESAIL_CHART_TOOLS") or folders.cache / "charts") / "bin" / "helm"
    if not helm.is_file():
        raise ClusterFailed("helm is not built: run `sh charts/build-tools.sh` (once, some minutes; needs Go)")
    return Tools(programs_folder(folders) / "kubectl", helm, cluster.kubeconfig, home)
