"""The few questions that a cluster asks its own API server while it comes up."""

from __future__ import annotations

import json
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.bare.site import Site

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ApiReader:
    """Reads as administrator. Everything raises `OSError` or `ValueError` when there is no answer, or no such."""

    pki: Path
    server: str

    def is_ready(self) -> bool:
        return self._read("/readyz") == "ok"

    def ready_nodes(self) -> frozenset[str]:
        return ready_node_names(json.loads(self._read("/api/v1/nodes")))

    def takes_pods(self) -> bool:
        """Pods are refused until the namespace has its service account."""
        accounts = json.loads(self._read("/api/v1/namespaces/default/serviceaccounts"))
        return any(account["metadata"]["name"] == "default" for account in accounts["items"])

    def _read(self, path: str) -> str:
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / "admin.crt", self.pki / "admin.key")
        with urllib.request.urlopen(self.server + path, context=context, timeout=_TIMEOUT_S) as answer:
            return str(answer.read().decode())


def api_of(site: Site) -> ApiReader:
    document = json.loads(site.kubeconfig.read_text(encoding="ascii"))
    return ApiReader(site.pki, document["clusters"][0]["cluster"]["server"])


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
