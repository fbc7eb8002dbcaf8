"""The demo shop on the cluster: its policy, its autoscalers, faults in its pods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from e2e_inside import site
from e2e_load import secret
from e2e_stage import SHOP, Stage
from e2e_waiting import wait_until

from chaos.clusters.cluster import ClusterFailed

POLICY = "shop"
FLOOR_MARK = "foresail.dev/floor"
PAUSE_ANNOTATION = "foresail.dev/paused"
MANAGED_LABEL = "foresail.dev/managed"


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """An HPA at one moment. `mark` is what Foresail noted on it, None: nothing of its stands there."""

    floor: int
    ceiling: int
    wanted: int | None  # what the HPA itself has decided
    running: int
    mark: Any
    managed: bool


@dataclass(frozen=True, slots=True)
class Shop:
    """The installed shop; a role is a Deployment, its HPA and its pods."""

    stage: Stage

    def autoscaler(self, role: str) -> Autoscaler:
        found = self.stage.kubectl.get(SHOP, "hpa", f"shop-{role}")
        meta, status = found["metadata"], found.get("status", {})
        mark = meta.get("annotations", {}).get(FLOOR_MARK)
        return Autoscaler(
            floor=found["spec"]["minReplicas"],
            ceiling=found["spec"]["maxReplicas"],
            wanted=status.get("desiredReplicas"),
            running=status.get("currentReplicas", 0),
            mark=None if mark is None else json.loads(mark),
            managed=MANAGED_LABEL in meta.get("labels", {}),
        )

    def marked(self) -> list[str]:
        """Names of the shop's objects that carry anything of Foresail's, the nodes included."""
        kinds = "deployments,statefulsets,horizontalpodautoscalers,pods,nodes"
        found = self.stage.kubectl.json("get", "-n", SHOP, kinds, "-l", MANAGED_LABEL)["items"]
        return [f"{item['kind']} {item['metadata']['name']}" for item in found]

    def pods(self, role: str) -> list[Any]:
        """Those that are not on their way out."""
        found = self.stage.kubectl.items(SHOP, "pods", f"app.kubernetes.io/component={role}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod(self, name: str) -> Any:
        return self.stage.kubectl.get(SHOP, "pod", name)

    def ready_pods(self, role: str) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.pods(role) if _is_ready(pod)}

    def fault(self, pod: str, name: str, **body: float) -> Any:
        """Begins a fault in a pod, as docs/shop-contracts.md has them; returns its state."""
        return self._faults(pod, "PUT", f"/{name}", body)

    @contextmanager
    def fault_in(self, pod: str, name: str, **body: float) -> Iterator[None]:
        """A fault that ends with the block, if the pod has not ended before."""
        self.fault(pod, name, **body)
        try:
            yield
        finally:
            with suppress(OSError, ClusterFailed):  # the pod is gone, and its faults with it
                self._faults(pod, "DELETE", f"/{name}")

    @contextmanager
    def policy(self, **fields: Any) -> Iterator[None]:
        """These fields of the shop's policy, until the block ends."""
        with self.stage.kubectl.spec_changed(SHOP, "resiliencepolicy", POLICY, **fields):
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is done until the block ends; what stands goes on standing until it expires."""
        annotate = ("annotate", "-n", SHOP, "resiliencepolicy", POLICY, "--overwrite")
        self.stage.kubectl(*annotate, f"{PAUSE_ANNOTATION}=true")
        try:
            yield
        finally:
            self.stage.kubectl(*annotate, f"{PAUSE_ANNOTATION}-")

    @contextmanager
    def stuck_rollout(self, role: str) -> Iterator[None]:
        """A new version of a Deployment whose pod never becomes Ready; taken back when the block ends."""
        kubectl, name = self.stage.kubectl, f"shop-{role}"
        path = "/spec/template/spec/containers/0/readinessProbe/httpGet/path"
        patch = json.dumps([{"op": "replace", "path": path, "value": "/nowhere"}])
        kubectl("patch", "-n", SHOP, "deployment", name, "--type=json", "-p", patch)
        try:
            wait_until("a pod of the new version", lambda: len(self.pods(role)) > len(self.ready_pods(role)))
            yield
        finally:
            kubectl("rollout", "undo", "-n", SHOP, f"deployment/{name}")
            kubectl("rollout", "status", "-n", SHOP, f"deployment/{name}", "--timeout=120s", limit_s=130.0)

    def resting_targets(self) -> list[Any]:
        """The policy's targets without any room for floors to rise."""
        return self.targets_with("")

    def targets_with(self, role: str, **scaling: Any) -> list[Any]:
        """The policy's targets: one with other values for its scaling, the others without any room to rise."""
        return [
            {**target, "scaling": {**target["scaling"], **scaling}}
            if target["name"] == role
            else {**target, "scaling": {**target["scaling"], "maxReplicas": target["scaling"]["minReplicas"]}}
            if "scaling" in target
            else target
            for target in self.stage.kubectl.get(SHOP, "resiliencepolicy", POLICY)["spec"]["targets"]
        ]

    def _faults(self, pod: str, method: str, path: str, body: Any = None) -> Any:
        address = self.stage.kubectl.get(SHOP, "pod", pod)["status"]["podIP"]
        token = secret(self.stage, "shop-secrets", "faults-token")
        with site(self.stage.cluster, f"{address}:9090") as server:
            return server.json(f"/-/faults{path}", method, body, {"Authorization": f"Bearer {token}"})


def event(multiplier: float, in_s: float, for_s: float, ramp_s: float = 0.0, name: str = "sale") -> dict[str, Any]:
    """A declared event for a policy that begins so many seconds from now."""
    start = datetime.now(UTC) + timedelta(seconds=in_s)
    return {
        "name": name,
        "start": start.isoformat(timespec="seconds"),
        "durationSeconds": for_s,
        "rampSeconds": ramp_s,
        "multiplier": multiplier,
    }


def restarts(pod: Any) -> int:
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))


def _is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
