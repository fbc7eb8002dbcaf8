"""The kinds of objects that are watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foresail.objects import parsing
from foresail.objects.fields import Json


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API and how it is read."""

    plural: str
    api: str  # path of its group and version
    parse: Callable[[Json], Any]  # None: not to be identified
    namespaced: bool = True
    #: What is decided without it would be wrong, so not seeing it means not seeing the cluster.
    needed: bool = True
    #: Comes with a CRD, so the cluster may lack it.
    optional: bool = False

    def path(self, namespace: str | None) -> str:
        """Of all its objects, or those of one namespace."""
        place = f"/namespaces/{namespace}" if namespace is not None else ""
        return f"{self.api}{place}/{self.plural}"


PODS = Kind("pods", "/api/v1", parsing.pod)
NODES = Kind("nodes", "/api/v1", parsing.node, namespaced=False)
DEPLOYMENTS = Kind("deployments", "/apis/apps/v1", parsing.deployment)
STATEFUL_SETS = Kind("statefulsets", "/apis/apps/v1", parsing.stateful_set)
REPLICA_SETS = Kind("replicasets", "/apis/apps/v1", parsing.replica_set)
# Without them a workload would look as if it had no HPA, and two would scale it.
HPAS = Kind("horizontalpodautoscalers", "/apis/autoscaling/v2", parsing.hpa)
SCALED_OBJECTS = Kind("scaledobjects", "/apis/keda.sh/v1alpha1", parsing.scaled_object, optional=True)
BUDGETS = Kind("poddisruptionbudgets", "/apis/policy/v1", parsing.budget, needed=False)
QUOTAS = Kind("resourcequotas", "/api/v1", parsing.quota, needed=False)
SERVICES = Kind("services", "/api/v1", parsing.service, needed=False)
#: Watched only where their weights may be written.
ROUTES = Kind("httproutes", "/apis/gateway.networking.k8s.io/v1", parsing.route, needed=False, optional=True)

KINDS = (
    PODS,
    NODES,
    DEPLOYMENTS,
    STATEFUL_SETS,
    REPLICA_SETS,
    HPAS,
    SCALED_OBJECTS,
    BUDGETS,
    QUOTAS,
    SERVICES,
)
