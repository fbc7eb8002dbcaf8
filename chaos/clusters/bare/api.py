"""The few questions that a cluster asks its own API server while it comes up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.bare.site import Site
from chaos.clusters.processes import run

_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class ApiReader:
    """Reads as administrator. Everything raises `ClusterFailed` or `ValueError` when there is no answer, or no such."""

    kubectl: Path
    kubeconfig: Path

    def is_ready(self) -> bool:
        return self._read("/readyz") == "ok"

    def ready_nodes(self) -> frozenset[str]:
        return ready_node_names(json.loads(self._read("/api/v1/nodes")))

    def takes_pods(self) -> bool:
        """Pods are refused until the namespace has its service account."""
        accounts = json.loads(self._read("/api/v1/namespaces/default/serviceaccounts"))
        return any(account["metadata"]["name"] == "default" for account in accounts["items"])

    def _read(self, path: str) -> str:
        # By a program of its own: a connection that is refused in the middle of its handshake, as all are while the
        # server starts, leaves an open socket behind in this one.
        flags = (f"--kubeconfig={self.kubeconfig}", f"--request-timeout={_TIMEOUT_S}s")
        return run(self.kubectl, *flags, "get", "--raw", path, limit_s=2.0 * _TIMEOUT_S)


def api_of(site: Site) -> ApiReader:
    return ApiReader(site.programs / "kubectl", site.kubeconfig)


def ready_node_names(nodes: dict[str, list[dict[str, dict[str, object]]]]) -> frozenset[str]:
    """Of a list of nodes, the names of those whose condition Ready is True; unknown is not."""
    ready = set()
    for node in nodes["items"]:
        conditions = node["status"].get("conditions") or []
        if not isinstance(conditions, list):
            continue
        if any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions):
            ready.add(str(node["metadata"]["name"]))
    return frozenset(ready)
