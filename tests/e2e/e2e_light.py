"""Namespace `light`: workloads that only sleep, whose demand an exporter makes up, so that any load can be told.

Each workload is one pod of the clusters' pause image under an HPA that never wants more than one. How many requests
it serves stands in a ConfigMap; its policy's declared events then make the planner raise its floor at a known time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from e2e_programs import Kubectl
from e2e_stage import LIGHT
from e2e_waiting import wait_until

from chaos.clusters.bare.pause_image import NAME as PAUSE_IMAGE
from chaos.clusters.images.recipes import OPERATOR as OPERATOR_RECIPE

#: One for each story, so that none begins with what another left in the operator's memory.
WORKLOADS = (
    "sale",
    "shared",
    "argo",
    "replaced",
    "paused",
    "stopped",
    "restarted",
    "inherited",
    "abandoned",
    "idle",
)
RESTING = 1  # pods of each
HIGHEST = 2  # one pod above: an expired floor is back in a single step
DEMAND_RPS = 3.0
POD_RPS = 10.0
SOON_S = 45.0
TTL_S = 60.0  # the shortest that a policy may ask for
MARK, MANAGED, CONTESTED = "foresail.dev/floor", "foresail.dev/managed", "foresail.dev/contested"
_PROGRAM = Path(__file__).with_name("e2e_light_exporter.py")

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """An HPA's floor at one moment. `mark` is what Foresail noted there, None: nothing."""

    floor: int
    mark: Any
    managed: bool
    contested: bool

    @property
    def untouched(self) -> bool:
        return self == Autoscaler(RESTING, None, False, False)


@dataclass(frozen=True, slots=True)
class Light:
    """The namespace on the test's cluster."""

    kubectl: Kubectl

    def make(self) -> None:
        """Everything but policies; what is there already stays as it is."""
        program = {"e2e_light_exporter.py": _PROGRAM.read_text(encoding="utf-8")}
        demand = dict.fromkeys(WORKLOADS, f"{DEMAND_RPS:g}")
        self.kubectl.apply(
            *_exporter_rights(),
            _named("v1", "ConfigMap", "exporter", data=program),
            _named("v1", "ConfigMap", "demand", data=demand),
            _exporter(),
        )
        there = {found["metadata"]["name"] for found in self.kubectl.items(LIGHT, "hpa")}
        missing = [workload for workload in WORKLOADS if workload not in there]
        if missing:
            self.kubectl.apply(*map(_deployment, missing), *map(_autoscaler, missing))
        self.kubectl("rollout", "status", "-n", LIGHT, "deployment", "--timeout=180s", limit_s=190.0)

    def autoscaler(self, workload: str) -> Autoscaler:
        found = self.kubectl.get(LIGHT, "hpa", workload)
        notes, labels = found["metadata"].get("annotations", {}), found["metadata"].get("labels", {})
        mark = notes.get(MARK)
        floor = found["spec"]["minReplicas"]
        return Autoscaler(floor, None if mark is None else json.loads(mark), MANAGED in labels, CONTESTED in notes)

    def ready_pods(self, workload: str) -> int:
        return int(self.kubectl.get(LIGHT, "deployment", workload)["status"].get("readyReplicas", 0))

    @contextmanager
    def policy(self, name: str, *workloads: str, announced: bool = False, **spec: Any) -> Iterator[None]:
        """In Enforce over these workloads, by default one of its own name. Nothing of it or of theirs is left.

        `announced`: a sale is declared once there are forecasts that it can multiply.
        """
        wanted = workloads or (name,)
        self.declare(name, wanted, **spec)
        try:
            if announced:
                self.wait_for_forecast(name)
                self.declare(name, wanted, events=[sale()], **spec)
            yield
        finally:
            self.kubectl("delete", "-n", LIGHT, "resiliencepolicy", name, "--ignore-not-found")
            for workload in wanted:
                self.reset(workload)

    def declare(self, name: str, workloads: Sequence[str], **spec: Any) -> None:
        self.kubectl.apply(policy(name, workloads, **spec))

    def withdraw(self, name: str) -> None:
        """From now on nobody renews its floors."""
        self.kubectl("delete", "-n", LIGHT, "resiliencepolicy", name)

    def reset(self, workload: str) -> None:
        """The HPA as the tests made it, whatever was done to it."""
        if not self.autoscaler(workload).untouched:
            gone: dict[str, Any] = {"annotations": {MARK: None, CONTESTED: None}, "labels": {MANAGED: None}}
            body = json.dumps({"metadata": gone, "spec": {"minReplicas": RESTING}})
            self.kubectl("patch", "-n", LIGHT, "hpa", workload, "--type=merge", "-p", body)

    def status(self, name: str) -> Any:
        return self.kubectl.get(LIGHT, "resiliencepolicy", name).get("status", {})

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """(status, reason) of a condition; empty while there is none."""
        found = next((one for one in self.status(name).get("conditions", ()) if one["type"] == kind), None)
        return ("", "") if found is None else (found["status"], found["reason"])

    def wait_for_forecast(self, name: str, limit_s: float = 240.0) -> None:
        """Two minutes after the exporter began there is enough history for one."""
        wait_until(f"forecasts for policy {name}", lambda: self.status(name).get("forecasts"), limit_s)

    def raised(self, workload: str, limit_s: float = 90.0) -> Autoscaler:
        """The autoscaler once Foresail has raised its floor."""
        what = f"the floor of {workload} to be raised"
        return wait_until(what, lambda: self.autoscaler(workload), limit_s, lambda seen: seen.floor == HIGHEST)

    def restored(self, workload: str, limit_s: float = TTL_S + 90.0) -> Autoscaler:
        what = f"the HPA of {workload} as it was"
        return wait_until(what, lambda: self.autoscaler(workload), limit_s, lambda seen: seen.untouched)


def policy(name: str, workloads: Sequence[str], **spec: Any) -> Manifest:
    """`spec` goes over the defaults, section by section."""
    scaling = {
        "maxReplicas": HIGHEST,
        "capacityPriorRequestsPerSecond": POD_RPS,
        "leadTimePriorSeconds": 20,
        "floorTtlSeconds": TTL_S,
        "descendPodsPerMinute": 1000,
    }
    targets = [{"name": workload, "workload": {"name": workload}} for workload in workloads]
    own = {"mode": "Enforce", "targets": targets, **spec, "scaling": {**scaling, **spec.get("scaling", {})}}
    return _named("foresail.dev/v1alpha1", "ResiliencePolicy", name, spec=own)


def sale(in_s: float = SOON_S, lasts_s: float = 1800.0) -> Manifest:
    """An event that needs many times the pods."""
    start = datetime.now(UTC) + timedelta(seconds=in_s)
    shown = start.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"name": "sale", "start": shown, "durationSeconds": lasts_s, "multiplier": 20}


def _named(api: str, kind: str, name: str, labels: Mapping[str, str] | None = None, **rest: Any) -> Manifest:
    metadata = {"name": name, "namespace": LIGHT, "labels": dict(labels or {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def _deployment(workload: str) -> Manifest:
    container = {
        "name": "pause",
        "image": PAUSE_IMAGE,
        "imagePullPolicy": "Never",
        "resources": {"requests": {"memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    }
    return _running(workload, container)


def _autoscaler(workload: str) -> Manifest:
    """By memory: a sleeping process uses next to none, and no CPU from which a capacity could be learned."""
    memory = {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 90}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload},
        "minReplicas": RESTING,
        "maxReplicas": 4,
        "metrics": [{"type": "Resource", "resource": memory}],
    }
    return _named("autoscaling/v2", "HorizontalPodAutoscaler", workload, spec=spec)


def _exporter() -> Manifest:
    container = {
        "name": "exporter",
        "image": OPERATOR_RECIPE.tag,
        "imagePullPolicy": "Never",
        "command": ["python3", f"/program/{_PROGRAM.name}"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/metrics", "port": 8080}, "periodSeconds": 2},
        "volumeMounts": [{"name": "program", "mountPath": "/program"}],
    }
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}
    volumes = [{"name": "program", "configMap": {"name": "exporter"}}]
    return _running("exporter", container, scraped, serviceAccountName="exporter", volumes=volumes)


def _running(app: str, container: Manifest, annotations: Mapping[str, str] | None = None, **pod: Any) -> Manifest:
    """A Deployment whose replicas are left to an HPA, where there is one."""
    labels = {"app": app}
    template = {
        "metadata": {"labels": labels, "annotations": dict(annotations or {})},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **pod},
    }
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return _named("apps/v1", "Deployment", app, labels, spec=spec)


def _exporter_rights() -> tuple[Manifest, ...]:
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["demand"], "verbs": ["get"]},
    ]
    api = "rbac.authorization.k8s.io"
    return (
        _named("v1", "ServiceAccount", "exporter"),
        _named(f"{api}/v1", "Role", "exporter", rules=rules),
        _named(
            f"{api}/v1",
            "RoleBinding",
            "exporter",
            roleRef={"apiGroup": api, "kind": "Role", "name": "exporter"},
            subjects=[{"kind": "ServiceAccount", "name": "exporter", "namespace": LIGHT}],
        ),
    )
