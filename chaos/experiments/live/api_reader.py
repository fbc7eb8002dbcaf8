"""Objects read from the API server over one connection: kubectl, started each second, would cost the shop its CPU."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from chaos.clusters.api_client import api_client
from chaos.clusters.cluster import ClusterFailed

TIMEOUT_S = 2.0

_PATHS: Mapping[str, str] = {
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
}


@dataclass(frozen=True, slots=True)
class ApiReader:
    """`Reader`. From any thread."""

    api: client.ApiClient

    def items(self, namespace: str, kind: str, selector: str = "") -> list[Mapping[str, Any]]:
        path = _PATHS[kind].format(namespace=namespace)
        try:
            method, url, headers, *_ = self.api.param_serialize(
                "GET",
                path,
                query_params=[("labelSelector", selector)] if selector else [],
                header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
            )
            answer = self.api.call_api(method, url, headers, _request_timeout=TIMEOUT_S)
            text: bytes = answer.read()  # type: ignore[no-untyped-call]
            if answer.status != 200:
                raise ClusterFailed(f"{path}: {answer.status} {text.decode(errors='replace')[:200]}")
            return [{**item, "kind": kind} for item in json.loads(text)["items"]]
        except (ApiException, HTTPError, OSError, KeyError, TypeError, ValueError) as error:
            raise ClusterFailed(f"{path}: {error}") from error


@contextmanager
def api_reader(kubeconfig: Path) -> Iterator[ApiReader]:
    with api_client(kubeconfig, retries=False) as api:  # the next look is a second away
        yield ApiReader(api)
