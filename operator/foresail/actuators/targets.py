"""From the name of a workload to the objects behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from foresail.actuators import paths
from foresail.actuators.api import Api, Json
from foresail.actuators.patching import ABSENT, find
from foresail.actuators.paths import Kind
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.objects.fields import text
from foresail.objects.selectors import Selector, label_selector, parsed_query

_OWN_KINDS: Mapping[Kind, str] = {paths.DEPLOYMENTS: "Deployment", paths.STATEFUL_SETS: "StatefulSet"}

MANAGEMENT_PORT = 9090
PATRONI_PORT = 8008


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something that each pod of a workload can be asked for (docs/shop-contracts.md)."""

    path: str
    port: int = MANAGEMENT_PORT
    token_file: Path | None = None  # None: the installation's


@dataclass(frozen=True, slots=True)
class WorkloadTarget:
    """Where the acts on one workload are to be written."""

    key: str  # "namespace/name"
    kind: Kind  # anything with a scale subresource
    selector: Selector  # of its pods
    hpa: str | None = None
    scaled_object: str | None = None  # KEDA's, which owns the HPA
    drain: Endpoint | None = None  # None: its pods cannot be told to let go of connections
    brownout: Endpoint | None = None  # None: they have nothing to dim
    routes: tuple[str, ...] = ()  # HTTPRoutes to its Services
    patroni_port: int = PATRONI_PORT
    patroni_members: Mapping[str, str] = field(default_factory=dict)  # labels that the members' pods bear, if they do
    patroni_credentials_file: Path | None = None  # None: the installation's

    @property
    def namespace(self) -> str:
        return self.key.partition("/")[0]

    @property
    def name(self) -> str:
        return self.key.partition("/")[2]

    @property
    def path(self) -> str:
        return paths.path(self.kind, self.namespace, self.name)

    @property
    def scale_path(self) -> str:
        return paths.path(self.kind, self.namespace, self.name, "scale")

    @property
    def pods_path(self) -> str:
        return paths.path(paths.PODS, self.namespace)

    @property
    def labels(self) -> str:
        """A selector of its pods. Raises without one: everybody's pods are not this workload's."""
        query = self.selector.query
        if not query:
            detail = f"{self.key}: its pods cannot be told from others by labels"
            raise ActRefused(RefusalReason.NOT_THIS_WORKLOADS, detail)
        return query

    def pod_path(self, pod: str) -> str:
        return paths.path(paths.PODS, self.namespace, pod)


class Directory(Protocol):
    """Knows what is behind a workload's name."""

    def find(self, workload: str) -> WorkloadTarget | None:
        """None: unknown. May raise `ActRefused`, for instance when two autoscalers claim it."""
        ...


@dataclass(frozen=True, slots=True)
class LiveDirectory:
    """Asks the API server each time.

    `extras` holds what no object says: endpoints of pods and routes. `scale_kinds`: where else workloads may be.
    """

    api: Api
    extras: Mapping[str, WorkloadTarget] = field(default_factory=dict)
    scale_kinds: tuple[Kind, ...] = ()

    def find(self, workload: str) -> WorkloadTarget | None:
        namespace, _, name = workload.partition("/")
        extra = self.extras.get(workload)
        for kind in (*_OWN_KINDS, *self.scale_kinds):
            path = paths.path(kind, namespace, name)
            try:
                seen = self.api.get(path)
                selector = self._selector(kind, path, seen)
            except ActRefused as refused:
                # Without the right to read a kind of somebody's own nothing was done to it either.
                passed_over = refused.reason is RefusalReason.FORBIDDEN and kind in self.scale_kinds
                if refused.reason is RefusalReason.NOT_FOUND or passed_over:
                    continue
                raise
            hpa = self._autoscaler(namespace, name, _OWN_KINDS.get(kind) or text(seen, "kind") or "")
            return WorkloadTarget(
                key=workload,
                kind=kind,
                selector=selector,
                hpa=None if hpa is None else hpa["metadata"]["name"],
                scaled_object=None if hpa is None else _keda_owner(hpa),
                drain=extra.drain if extra else None,
                brownout=extra.brownout if extra else None,
                routes=extra.routes if extra else (),
                patroni_port=extra.patroni_port if extra else PATRONI_PORT,
                patroni_members=extra.patroni_members if extra else {},
            )
        return None

    def _selector(self, kind: Kind, path: str, seen: Json) -> Selector:
        """Kinds of somebody's own keep it where they like, but their scale tells it in one line."""
        if kind in _OWN_KINDS:
            return label_selector(seen, "spec", "selector") or Selector()
        return parsed_query(text(self.api.get(f"{path}/scale"), "status", "selector") or "") or Selector()

    def _autoscaler(self, namespace: str, name: str, kind: str) -> Json | None:
        found = []
        for hpa in self.api.items(paths.path(paths.HPAS, namespace)):
            target = find(hpa, "spec", "scaleTargetRef")
            if target is not ABSENT and target.get("name") == name and target.get("kind") == kind:
                found.append(hpa)
        if len(found) > 1:
            names = ", ".join(hpa["metadata"]["name"] for hpa in found)
            detail = f"{namespace}/{name}: several HPAs scale it ({names}): leave one"
            raise ActRefused(RefusalReason.AMBIGUOUS, detail)
        return found[0] if found else None


def _keda_owner(hpa: Json) -> str | None:
    for owner in hpa["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "ScaledObject" and str(owner.get("apiVersion", "")).startswith("keda.sh/"):
            return str(owner["name"])
    return None
