"""Labels and annotations that carry a meaning for Foresail."""

from __future__ import annotations

OURS = "foresail.dev/"
TRAFFIC_LABEL = "foresail.dev/traffic"
TRAFFIC_OFF = "off"
DETACHED = "foresail.dev/detached"
CORDON = "foresail.dev/cordon"

TEMPLATE_HASH_LABEL = "pod-template-hash"
ROLLOUTS_HASH_LABEL = "rollouts-pod-template-hash"  # Argo Rollouts
#: Values differ between the versions of a workload's pods.
VERSION_LABELS = (TEMPLATE_HASH_LABEL, ROLLOUTS_HASH_LABEL, "controller-revision-hash")
FLAGGER_GROUP = "flagger.app/"

UNREACHABLE_TAINT = "node.kubernetes.io/unreachable"  # the node controller's, while it hears nothing of a node
ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")

KEDA_PAUSED = "autoscaling.keda.sh/paused"
KEDA_PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
KEDA_PAUSED_SCALE_OUT = "autoscaling.keda.sh/paused-scale-out"


def key(namespace: str, name: str) -> str:
    """`namespace/name`, how workloads and pods are called everywhere."""
    return f"{namespace}/{name}"
