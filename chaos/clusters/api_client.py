"""A client of a cluster's API server, by the file that leads there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubernetes import client, config


@contextmanager
def api_client(kubeconfig: Path, *, retries: bool = True) -> Iterator[client.ApiClient]:
    """Without `retries` a request that fails has failed: for whoever asks again soon anyway."""
    configuration = client.Configuration()
    if not retries:
        configuration.retries = False
    config.load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
    with client.ApiClient(configuration) as api:
        yield api
