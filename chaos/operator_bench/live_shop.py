"""The demo shop as the API server shows it, and the mode of the policy over it, for measurements of failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from chaos.clusters.api_client import api_client
from chaos.operator_bench.rotation import Endpoint

TRAFFIC = "foresail.dev/traffic"
GROUP, VERSION, PLURAL = "foresail.dev", "v1alpha1", "resiliencepolicies"
_DATABASE_ROLE = "demo-shop/database-role"  # as Patroni keeps it on its members
_PRIMARY = frozenset({"primary", "master"})
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class LiveShop:
    """Implements `Shop` of `rotation` and `dead_node`. An API server that does not answer shows nothing."""

    api: client.ApiClient
    namespace: str = "shop"
    policy: str = "shop"
    operator_namespace: str = "foresail"

    @property
    def _core(self) -> Any:
        return client.CoreV1Api(self.api)

    @property
    def _apps(self) -> Any:
        return client.AppsV1Api(self.api)

    @property
    def _discovery(self) -> Any:
        return client.DiscoveryV1Api(self.api)

    def endpoints(self) -> frozenset[Endpoint]:
        """Those that get traffic now, of Services that go by the traffic label."""
        services = self._core.list_namespaced_service(self.namespace, _request_timeout=_TIMEOUT_S)
        listening = {one.metadata.name for one in services.items if TRAFFIC in (one.spec.selector or {})}
        slices = self._discovery.list_namespaced_endpoint_slice(self.namespace, _request_timeout=_TIMEOUT_S)
        return frozenset(
            Endpoint(service, endpoint.target_ref.name, endpoint.node_name or "")
            for one in slices.items
            if (service := one.metadata.labels.get("kubernetes.io/service-name")) in listening
            for endpoint in one.endpoints or ()
            if endpoint.conditions.ready is not False and endpoint.target_ref is not None
        )

    def missing(self) -> str | None:
        """What the shop lacks to be as it was installed; None: nothing."""
        try:
            return next(self._lacks(), None)
        except (ApiException, HTTPError, OSError) as error:
            return f"an answer of the API server: {error}"

    def uid(self, pod: str) -> str:
        found = self._core.read_namespaced_pod(pod, self.namespace, _request_timeout=_TIMEOUT_S)
        return str(found.metadata.uid)

    def nodes(self) -> frozenset[str]:
        listed = self._core.list_node(_request_timeout=_TIMEOUT_S)
        return frozenset(one.metadata.name for one in listed.items)

    def irreplaceable(self) -> frozenset[str]:
        """Nodes with what exists once: Redis and the primary. No controller moves them before the node is given up."""
        return frozenset(
            pod.spec.node_name
            for pod in self._pods()
            if (pod.metadata.labels or {}).get("app.kubernetes.io/component") == "redis"
            or (pod.metadata.labels or {}).get(_DATABASE_ROLE) in _PRIMARY
        )

    def leaders_node(self) -> str | None:
        """Where the leading replica of the operator runs."""
        leases: Any = client.CoordinationV1Api(self.api)
        lease = leases.read_namespaced_lease("foresail", self.operator_namespace, _request_timeout=_TIMEOUT_S)
        holder = (lease.spec.holder_identity or "").rpartition("_")[0]
        pods = self._core.list_namespaced_pod(self.operator_namespace, _request_timeout=_TIMEOUT_S)
        return next((pod.spec.node_name for pod in pods.items if pod.metadata.name == holder), None)

    def replicas_nodes(self) -> frozenset[str]:
        """Where replicas of the operator run."""
        pods = self._core.list_namespaced_pod(
            self.operator_namespace, label_selector="app.kubernetes.io/component=operator", _request_timeout=_TIMEOUT_S
        )
        return frozenset(pod.spec.node_name for pod in pods.items if pod.metadata.deletion_timestamp is None)

    def set_mode(self, mode: str) -> None:
        """Of the policy: Enforce, or Observe, which computes the same and does nothing."""
        client.CustomObjectsApi(self.api).patch_namespaced_custom_object(
            GROUP,
            VERSION,
            self.namespace,
            PLURAL,
            self.policy,
            {"spec": {"mode": mode}},  # a merge patch: the client sends nothing else here
            _request_timeout=_TIMEOUT_S,
        )

    def mode_in_force(self) -> str | None:
        found: Any = client.CustomObjectsApi(self.api).get_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, self.policy, _request_timeout=_TIMEOUT_S
        )
        mode = found.get("status", {}).get("mode", {}).get("inForce")
        return None if mode is None else str(mode)

    def gateway_url(self) -> str:
        """In the cluster's network."""
        spec = self._core.read_namespaced_service("shop-gateway", self.namespace, _request_timeout=_TIMEOUT_S).spec
        return f"http://{spec.cluster_ip}:{spec.ports[0].port}"

    def _lacks(self) -> Iterator[str]:
        for node in self._core.list_node(_request_timeout=_TIMEOUT_S).items:
            if node.spec.unschedulable:
                yield f"node {node.metadata.name} is cordoned"
            if not any(one.type == "Ready" and one.status == "True" for one in node.status.conditions or ()):
                yield f"node {node.metadata.name} is not Ready"
        sets = (self._apps.list_namespaced_deployment, self._apps.list_namespaced_stateful_set)
        for namespace in (self.namespace, self.operator_namespace):
            for listed in sets:
                for one in listed(namespace, _request_timeout=_TIMEOUT_S).items:
                    if (one.status.ready_replicas or 0) != one.spec.replicas:
                        yield f"{one.metadata.name} has {one.status.ready_replicas or 0} of {one.spec.replicas} ready"
        for pod in self._pods():
            if (pod.metadata.labels or {}).get(TRAFFIC, "on") != "on":
                yield f"{pod.metadata.name} is out of rotation"

    def _pods(self) -> list[Any]:
        listed = self._core.list_namespaced_pod(self.namespace, _request_timeout=_TIMEOUT_S)
        return [pod for pod in listed.items if pod.metadata.deletion_timestamp is None]


@contextmanager
def live_shop(kubeconfig: Path) -> Iterator[LiveShop]:
    with api_client(kubeconfig) as api:
        yield LiveShop(api)
