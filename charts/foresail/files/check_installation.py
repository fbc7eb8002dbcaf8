"""`helm test`: what the chart promised is there. Run in a pod, with the operator's own service account.

Checks that the API server knows ResiliencePolicies, that the account may do what it needs and nothing that would be
too much, and that Services which select by the traffic label have pods that carry it (the other order is an outage).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

TRAFFIC_LABEL = "foresail.dev/traffic"
_TIMEOUT_S = 10

#: verb, group, resource, subresource: in every watched namespace.
NEEDED = (
    ("list", "foresail.dev", "resiliencepolicies", ""),
    ("watch", "foresail.dev", "resiliencepolicies", ""),
    ("patch", "foresail.dev", "resiliencepolicies", "status"),
    ("list", "", "pods", ""),
    ("patch", "", "pods", ""),
    ("create", "", "pods", "eviction"),
    ("list", "apps", "deployments", ""),
    ("patch", "apps", "deployments", "scale"),
    ("patch", "autoscaling", "horizontalpodautoscalers", ""),
    ("create", "events.k8s.io", "events", ""),
)
TOO_MUCH = (
    ("get", "", "secrets", ""),
    ("list", "", "secrets", ""),
    ("delete", "", "pods", ""),
    ("create", "", "pods", ""),
    ("create", "", "pods", "exec"),
    ("delete", "apps", "deployments", ""),
    ("create", "rbac.authorization.k8s.io", "rolebindings", ""),
    ("*", "*", "*", ""),
)


def missing_resource(api: client.ApiClient) -> Iterator[str]:
    """A problem when the API server does not serve ResiliencePolicies."""
    try:
        found = client.CustomObjectsApi(api).get_api_resources("foresail.dev", "v1alpha1", _request_timeout=_TIMEOUT_S)
    except ApiException as error:
        yield f"foresail.dev/v1alpha1 is not served ({error.status}): install with crds.enabled, or apply the CRD"
        return
    if "resiliencepolicies" not in {resource.name for resource in found.resources}:
        yield "foresail.dev/v1alpha1 has no resiliencepolicies: apply the chart's CRD"


def wrong_rights(api: client.ApiClient, namespaces: Sequence[str], zone_shift: bool) -> Iterator[str]:
    """What the account cannot do and should, and what it can do and should not."""
    for namespace in namespaces:
        for right in NEEDED:
            if not _can(api, namespace, right):
                yield f"{namespace}: cannot {_said(right)}; does the Role of this release stand there?"
        for right in TOO_MUCH:
            if _can(api, namespace, right):
                yield f"{namespace}: can {_said(right)}, which Foresail does not need; find the binding that gives it"
    if not _can(api, "", ("list", "", "nodes", "")):
        yield "cannot list nodes; does the ClusterRole of this release stand?"
    if _can(api, "", ("patch", "", "nodes", "")) != zone_shift:
        yield f"nodes can{'not' if zone_shift else ''} be patched, but zoneShift.enabled is {str(zone_shift).lower()}"


def starved_services(services: Sequence[Any], pods: Sequence[Any], workloads: Sequence[Any]) -> Iterator[str]:
    """Of one namespace: Services that ask for the traffic label of pods that lack it, and selectors that hold it."""
    for workload in workloads:
        if TRAFFIC_LABEL in (workload.spec.selector.match_labels or {}):
            name = workload.metadata.name
            yield f"{name}: its own selector has {TRAFFIC_LABEL}; a drained pod would be replaced: take it out"
    for service in services:
        selector = dict(service.spec.selector or {})
        if TRAFFIC_LABEL not in selector:
            continue
        del selector[TRAFFIC_LABEL]
        meant = [pod for pod in pods if _carries(pod.metadata.labels or {}, selector)]
        if meant and not any(TRAFFIC_LABEL in (pod.metadata.labels or {}) for pod in meant):
            yield (
                f"Service {service.metadata.name} selects by {TRAFFIC_LABEL}, but none of its {len(meant)} pods carries"
                " it: label the pod template and roll out first, then narrow the Service"
            )
        for workload in workloads:
            labels = workload.spec.template.metadata.labels or {}
            if _carries(labels, selector) and labels.get(TRAFFIC_LABEL) != "on":
                yield (
                    f'{workload.metadata.name}: new pods would lack {TRAFFIC_LABEL}: "on", which Service'
                    f" {service.metadata.name} asks for"
                )


def _carries(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _can(api: client.ApiClient, namespace: str, right: tuple[str, str, str, str]) -> bool:
    verb, group, resource, subresource = right
    asked = client.V1ResourceAttributes(
        namespace=namespace, verb=verb, group=group, resource=resource, subresource=subresource
    )
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=asked))
    answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review, _request_timeout=_TIMEOUT_S)
    return bool(answer.status.allowed)


def _said(right: tuple[str, str, str, str]) -> str:
    verb, group, resource, subresource = right
    return f"{verb} {resource}{'/' + subresource if subresource else ''}{'.' + group if group else ''}"


def _onboarding(api: client.ApiClient, namespaces: Sequence[str]) -> Iterator[str]:
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    for namespace in namespaces:
        services = core.list_namespaced_service(namespace, _request_timeout=_TIMEOUT_S).items
        pods = core.list_namespaced_pod(namespace, _request_timeout=_TIMEOUT_S).items
        deployments = apps.list_namespaced_deployment(namespace, _request_timeout=_TIMEOUT_S).items
        sets = apps.list_namespaced_stateful_set(namespace, _request_timeout=_TIMEOUT_S).items
        for problem in starved_services(services, pods, [*deployments, *sets]):
            yield f"{namespace}: {problem}"


def main() -> int:
    config.load_incluster_config()
    namespaces = [name for name in os.environ["FORESAIL_WATCH_NAMESPACES"].split(",") if name]
    zone_shift = os.environ.get("FORESAIL_ZONE_SHIFT", "false") == "true"
    with client.ApiClient() as api:
        problems = [
            *missing_resource(api),
            *wrong_rights(api, namespaces, zone_shift),
            *_onboarding(api, namespaces),
        ]
    for problem in problems:
        sys.stdout.write(f"FAILED  {problem}\n")
    if not problems:
        sys.stdout.write("resource, rights and onboarding are as they should be\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
