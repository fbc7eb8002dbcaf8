"""KEDA's side of the shop: one ScaledObject for each Deployment, with a trigger on the requests that Prometheus saw."""

from __future__ import annotations

from typing import Any

from chaos.experiments.arms import LiveArm
from chaos.experiments.shop_map import ROLES
from simulation.topology import Topology
from simulation.visits import capacity_rps

RATE_WINDOW = "1m"
POLLING_S = 15  # half of KEDA's default, as often as the HPA looks


def scaled_objects(
    arm: LiveArm, topology: Topology, namespace: str, release: str, prometheus_url: str
) -> list[dict[str, Any]]:
    """Manifests for an arm that KEDA scales; empty for the others.

    A pod is meant to carry the arm's share of the capacity that the topology says a load test would find.
    """
    if arm.autoscaler != "keda":
        return []
    capacity = capacity_rps(topology)
    return [
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {
                "name": f"{release}-{service.name}",
                "namespace": namespace,
                # KEDA gives it to the HPA that it makes, whose bounds are then known as this role's.
                "labels": {"app.kubernetes.io/component": service.name},
            },
            "spec": {
                "scaleTargetRef": {"name": f"{release}-{service.name}"},
                "minReplicaCount": service.hpa.min_replicas,
                "maxReplicaCount": service.hpa.max_replicas,
                "pollingInterval": POLLING_S,
                "triggers": [
                    {
                        "type": "prometheus",
                        "metadata": {
                            "serverAddress": prometheus_url,
                            "query": requests_query(namespace, service.name),
                            "threshold": f"{arm.settings.target_ratio * capacity[service.name]:.3g}",
                        },
                    }
                ],
            },
        }
        for service in topology.services
        if service.name in ROLES and service.hpa is not None
    ]


def requests_query(namespace: str, role: str) -> str:
    """Requests per second that a role's pods answered, probes left out."""
    selector = f'namespace="{namespace}",component="{role}",route!~"/-/.*"'
    return f"sum(rate(http_server_request_duration_seconds_count{{{selector}}}[{RATE_WINDOW}]))"
