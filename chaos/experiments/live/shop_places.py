"""Where things of the installed shop and of its operator are reached: addresses inside the cluster, and tokens."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from chaos.experiments.live.kube import Kubectl, lives

OPERATOR_PORT = 8080


@dataclass(frozen=True, slots=True)
class ShopPlaces:
    """All of it is asked for anew, since every run installs afresh. Raises `ClusterFailed`."""

    kubectl: Kubectl
    shop: str = "shop"
    operator: str = "foresail"

    def storefront(self) -> str:
        """IP:PORT."""
        spec = self._get(self.shop, f"service/{self.shop}-gateway")["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def service_ip(self, name: str) -> str:
        return str(self._get(self.shop, f"service/{name}")["spec"]["clusterIP"])

    def secret(self, key: str) -> str:
        data = self._get(self.shop, f"secret/{self.shop}-secrets")["data"]
        return base64.b64decode(data[key]).decode()

    def database_members(self) -> list[str]:
        """Addresses of the pods that PostgreSQL's members run in."""
        found = self._get(self.shop, "pods", f"--selector=demo-shop/database={self.shop}-postgres")["items"]
        return _addresses(found)

    def operators(self) -> list[str]:
        """IP:PORT of each replica; empty where none is installed."""
        found = self._get(self.operator, "pods", "--selector=app.kubernetes.io/component=operator")["items"]
        return [f"{address}:{OPERATOR_PORT}" for address in _addresses(found)]

    def pod_address(self, name: str) -> str | None:
        """None: there is no such pod, or it has no address."""
        found = self._get(self.shop, "pods", f"--field-selector=metadata.name={name}")["items"]
        return next(iter(_addresses(found)), None)

    def _get(self, namespace: str, *words: str) -> Any:
        return json.loads(self.kubectl("-n", namespace, "get", *words, "-o", "json"))


def _addresses(pods: list[dict[str, Any]]) -> list[str]:
    return [str(pod["status"]["podIP"]) for pod in pods if lives(pod) and pod.get("status", {}).get("podIP")]
