"""kubectl and helm, as people run them, against one cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.processes import Word, run


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Every call raises `ClusterFailed` with what kubectl said when it fails."""

    program: Path
    kubeconfig: Path

    def __call__(self, *words: Word, given: str | None = None, limit_s: float = 120.0) -> str:
        return run(self.program, f"--kubeconfig={self.kubeconfig}", *words, given=given, limit_s=limit_s)

    def json(self, *words: Word) -> Any:
        return json.loads(self(*words, "-o", "json"))


@dataclass(frozen=True, slots=True)
class Helm:
    """Every call raises `ClusterFailed` with what helm said when it fails. Keeps nothing in the user's home."""

    program: Path
    kubeconfig: Path
    home: Path

    def __call__(self, *words: Word, given: str | None = None, limit_s: float = 600.0) -> str:
        homes = {f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {**os.environ, **homes, "KUBECONFIG": str(self.kubeconfig)}
        return run(self.program, *words, environment=environment, given=given, limit_s=limit_s)


def built_helm(folders: ClusterFolders, environment: Mapping[str, str]) -> Path:
    """Raises `ClusterFailed` where it is not built."""
    helm = helm_program(folders, environment)
    if not helm.is_file():
        raise ClusterFailed("helm is not built: run `sh charts/build-tools.sh` (once, some minutes; needs Go)")
    return helm


def helm_program(folders: ClusterFolders, environment: Mapping[str, str]) -> Path:
    """Where `charts/build-tools.sh` puts helm, whether it is there or not."""
    return Path(environment.get("FORESAIL_CHART_TOOLS") or folders.cache / "charts") / "bin" / "helm"
