"""A running operator on a cluster of this machine, for measurements of its handovers."""

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
from chaos.clusters.bare.pod_processes import kill_containers
from chaos.operator_bench.failover import FailoverFailed, How

LEASE, INTENTS = "foresail", "foresail-intents"
PODS = "app.kubernetes.io/name=foresail,app.kubernetes.io/component=operator"
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class InstalledOperator:
    """Implements `LiveOperator` for what the chart installs in `namespace`. Killing works on a bare cluster."""

    api: client.ApiClient
    namespace: str

    def leader(self) -> str | None:
        leases = client.CoordinationV1Api(self.api)
        lease = _answered(lambda: leases.read_namespaced_lease(LEASE, self.namespace, _request_timeout=_TIMEOUT_S))
        return None if lease is None else lease.spec.holder_identity or None

    def acted(self) -> str | None:
        """The intents' holder, without the number of its term."""
        core = client.CoreV1Api(self.api)
        found = _answered(lambda: core.read_namespaced_config_map(INTENTS, self.namespace, _request_timeout=_TIMEOUT_S))
        holder = "" if found is None else (found.data or {}).get("holder", "")
        return holder.rpartition("/")[0] or None

    def ready(self) -> bool:
        apps = client.AppsV1Api(self.api)
        listed = _answered(
            lambda: apps.list_namespaced_deployment(self.namespace, label_selector=PODS, _request_timeout=_TIMEOUT_S)
        )
        wanted = None if listed is None or not listed.items else listed.items[0]
        if wanted is None or wanted.spec.replicas < 2:
            return False
        # A pod that is still leaving would be in the way of the next measurement.
        return bool((wanted.status.ready_replicas or 0) == wanted.spec.replicas == len(self._pods()))

    def end(self, leader: str, how: How) -> None:
        """Raises `FailoverFailed` where there is no such process."""
        pod, core = leader.rpartition("_")[0], client.CoreV1Api(self.api)
        if how is How.STOPPED:
            core.delete_namespaced_pod(pod, self.namespace, _request_timeout=_TIMEOUT_S)
            return
        uid = next((found.metadata.uid for found in self._pods() if found.metadata.name == pod), None)
        if uid is None or not kill_containers(uid):
            raise FailoverFailed(
                f"no process of pod {pod} runs on this machine: killing needs a bare cluster, and root"
            )

    def _pods(self) -> list[Any]:
        core = client.CoreV1Api(self.api)
        listed = core.list_namespaced_pod(self.namespace, label_selector=PODS, _request_timeout=_TIMEOUT_S)
        return list(listed.items)


@contextmanager
def installed_operator(kubeconfig: Path, namespace: str) -> Iterator[InstalledOperator]:
    with api_client(kubeconfig) as api:
        yield InstalledOperator(api, namespace)


def _answered(ask: Any) -> Any:
    """None: there is no such object, or no answer this time."""
    try:
        return ask()
    except ApiException as error:
        if error.status in (404, 429) or error.status >= 500:
            return None
        raise
    except (HTTPError, OSError):
        return None
