"""Rules for tools that put objects back as Git has them, for exactly the fields that Foresail writes there.

Pods are in nobody's Git, and labels and annotations that a manifest does not name are nobody's difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from foresail.actuators import marks
from foresail.actuators.floors import DEFAULT_BY_FIELD, HPA_FLOOR, KEDA_FLOOR
from foresail.actuators.scale import REPLICAS
from foresail.actuators.standing import PlainField
from foresail.objects.object_state import WorkloadObjects
from foresail.objects.records import Meta


class Tool(StrEnum):
    ARGO = "argo"
    FLUX = "flux"
    HELM_4 = "helm4"


@dataclass(frozen=True, slots=True)
class Written:
    """A field that Foresail writes while an act stands. `value`: what people have there."""

    api_version: str
    kind: str
    namespace: str
    name: str
    path: tuple[str, ...]
    value: int

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def pointer(self) -> str:
        return "/" + "/".join(self.path)


def written_field(workload: WorkloadObjects) -> Written:
    """Where the floor of the workload goes, or its replicas where nothing else scales it."""
    scaled, hpa = workload.scaled_object, workload.hpa
    if scaled is not None:
        least = scaled.min_replicas or DEFAULT_BY_FIELD[KEDA_FLOOR]
        return _written("keda.sh/v1alpha1", "ScaledObject", scaled.meta, KEDA_FLOOR, least)
    if hpa is not None:
        return _written("autoscaling/v2", "HorizontalPodAutoscaler", hpa.meta, HPA_FLOOR, hpa.min_replicas)
    record = workload.record
    return _written("apps/v1", workload.kind, record.meta, REPLICAS, record.replicas)


def _written(api_version: str, kind: str, meta: Meta, field: PlainField, value: int) -> Written:
    mark = marks.read({"metadata": {"name": meta.name, "annotations": meta.annotations}}, field.key)
    original = mark.original if mark is not None and isinstance(mark.original, int) else value
    return Written(api_version, kind, meta.namespace, meta.name, tuple(str(step) for step in field.path), original)


def argo(fields: Sequence[Written]) -> Mapping[str, Any]:
    """What belongs into an Application. Without the option a sync writes what the comparison was told to ignore."""
    rules = [
        {
            "group": field.group,
            "kind": field.kind,
            "name": field.name,
            "namespace": field.namespace,
            "jsonPointers": [field.pointer],
        }
        for field in fields
    ]
    return {
        "spec": {
            "ignoreDifferences": rules,
            "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
        }
    }


def flux_kustomization(fields: Sequence[Written]) -> Mapping[str, Any]:
    """What belongs into a Kustomization, from Flux 2.9 on."""
    return {"spec": {"ignore": _flux_rules(fields)}}


def flux_helm_release(fields: Sequence[Written]) -> Mapping[str, Any]:
    """What belongs into a HelmRelease that corrects drift."""
    return {"spec": {"driftDetection": {"mode": "enabled", "ignore": _flux_rules(fields)}}}


def handover(field: Written) -> str:
    """Makes somebody else an owner of the field, with the value that stands.

    Who applies on the server's side and leaves a field out that nobody else owns takes it away, and the default stands.
    """
    lines = [
        f"apiVersion: {field.api_version}",
        f"kind: {field.kind}",
        "metadata:",
        f"  name: {field.name}",
        f"  namespace: {field.namespace}",
        *(f"{'  ' * depth}{step}:" for depth, step in enumerate(field.path[:-1])),
        f"{'  ' * (len(field.path) - 1)}{field.path[-1]}: {field.value}",
    ]
    apply = "kubectl apply --server-side --field-manager=foresail-handover --validate=false -f - <<'EOF'"
    return "\n".join([apply, *lines, "EOF"])


def _flux_rules(fields: Sequence[Written]) -> list[Mapping[str, Any]]:
    return [
        {
            "paths": [field.pointer],
            "target": {
                "group": field.group,
                "kind": field.kind,
                "name": field.name,
                "namespace": field.namespace,
            },
        }
        for field in fields
    ]
