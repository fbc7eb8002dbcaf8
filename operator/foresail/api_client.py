"""How the API server is reached: from inside a cluster, or with a kubeconfig."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kubernetes import client, config
from kubernetes.config import ConfigException

#: One per watch (kinds, and kinds × namespaces) beside those of writes; idle ones cost a socket.
CONNECTIONS = 64


class ApiUnreachable(Exception):
    """There is no way to an API server: neither a service account nor a kubeconfig. Permanent."""


def api_client(
    environment: Mapping[str, str], kubeconfig: Path | None = None, context: str | None = None
) -> client.ApiClient:
    """A client that never tries a request again by itself: one repeated behind our back would outlive the lease.

    In order: `kubeconfig`, what `KUBECONFIG` names, the pod's service account, the kubeconfig at home. `context` None:
    the kubeconfig's current one.
    """
    configuration = client.Configuration()
    named = str(kubeconfig) if kubeconfig is not None else environment.get("KUBECONFIG")
    try:
        if named is None and context is None and "KUBERNETES_SERVICE_HOST" in environment:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            config.load_kube_config(named, context, client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise ApiUnreachable(f"no way to an API server: {error}") from error
    configuration.retries = False
    configuration.connection_pool_maxsize = CONNECTIONS
    return client.ApiClient(configuration)
