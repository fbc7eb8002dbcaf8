"""Objects of a cluster, or of manifests that are not yet in one, held still: what onboarding is checked on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from foresail.actuators import paths
from foresail.actuators.api import Json
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.objects import kinds
from foresail.objects.fields import strings, text
from foresail.objects.object_state import ObjectState, Records, joined

#: Kinds by the name that manifests give them. Versions of a kind differ in nothing that is looked at.
KINDS: Mapping[tuple[str, str], paths.Kind] = {
    ("apps", "Deployment"): paths.DEPLOYMENTS,
    ("apps", "StatefulSet"): paths.STATEFUL_SETS,
    ("apps", "ReplicaSet"): paths.REPLICA_SETS,
    ("", "Pod"): paths.PODS,
    ("", "Service"): paths.SERVICES,
    ("", "PersistentVolumeClaim"): paths.CLAIMS,
    ("autoscaling", "HorizontalPodAutoscaler"): paths.HPAS,
    ("keda.sh", "ScaledObject"): paths.SCALED_OBJECTS,
    ("policy", "PodDisruptionBudget"): ("policy/v1", "poddisruptionbudgets"),
}
_RECORDS = {
    "pods": kinds.PODS,
    "deployments": kinds.DEPLOYMENTS,
    "stateful_sets": kinds.STATEFUL_SETS,
    "replica_sets": kinds.REPLICA_SETS,
    "hpas": kinds.HPAS,
    "scaled_objects": kinds.SCALED_OBJECTS,
    "budgets": kinds.BUDGETS,
    "services": kinds.SERVICES,
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects by the path of their collection, then by name. Reads as the API server does.

    `live`: from a running cluster, so that what is missing here is missing there.
    """

    objects: Mapping[str, Mapping[str, Json]]
    live: bool

    def get(self, path: str) -> Json:
        """Raises `ActRefused` (`NOT_FOUND`)."""
        collection, _, name = path.rpartition("/")
        found = self.objects.get(collection, {}).get(name)
        if found is None:
            where = "in the cluster" if self.live else "among the manifests"
            raise ActRefused(RefusalReason.NOT_FOUND, f"{name} is not {where}")
        return found

    def items(self, path: str, labels: str = "") -> list[Json]:
        """`labels`: pairs with commas between them, as Services select."""
        wanted = dict(pair.partition("=")[::2] for pair in labels.split(",") if pair)
        return [
            item
            for item in self.objects.get(path, {}).values()
            if wanted.items() <= strings(item, "metadata", "labels").items()
        ]

    def of(self, kind: paths.Kind, namespace: str, name: str = "") -> list[Json]:
        """All of a kind in a namespace, or the one of that name; empty where there is none."""
        found = self.objects.get(paths.path(kind, namespace), {})
        return list(found.values()) if not name else [found[name]] if name in found else []

    def namespaces(self) -> list[str]:
        """Those that hold a workload."""
        collections = [collection.split("/") for collection in self.objects if collection.endswith("/deployments")]
        return sorted({parts[parts.index("namespaces") + 1] for parts in collections})

    def state(self) -> ObjectState:
        """The same, joined as the operator joins what it watches."""
        records: dict[str, Any] = {name: _parsed(self.objects, kind) for name, kind in _RECORDS.items()}
        return joined(Records(**records), sees_all_pods=False)


def snapshot(objects: Iterable[Json], live: bool, namespace: str = "default") -> Snapshot:
    """Of whatever objects onboarding looks at; others are left out. `namespace`: of those that name none."""
    held: dict[str, dict[str, Json]] = {}
    for item in objects:
        kind, name = _kind(item), text(item, "metadata", "name")
        if kind is None or name is None:
            continue
        where = text(item, "metadata", "namespace") or namespace
        placed = {**item, "metadata": {**item["metadata"], "namespace": where}}
        held.setdefault(paths.path(kind, where), {})[name] = placed
    return Snapshot(held, live)


def _kind(item: Json) -> paths.Kind | None:
    group = (text(item, "apiVersion") or "").rpartition("/")[0]
    return KINDS.get((group, text(item, "kind") or ""))


def _parsed(objects: Mapping[str, Mapping[str, Json]], kind: kinds.Kind) -> dict[str, object]:
    found = {}
    for collection, named in objects.items():
        if collection.startswith(f"{kind.api}/namespaces/") and collection.endswith(f"/{kind.plural}"):
            for item in named.values():
                record = kind.parse(item)
                if record is not None:
                    found[record.meta.key] = record
    return found
