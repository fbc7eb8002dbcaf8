"""What the operator says of itself: who leads, its decisions and numbers, and what it wrote into policies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from e2e_inside import site
from e2e_stage import OPERATOR, Stage
from e2e_waiting import wait_until


@dataclass(frozen=True, slots=True)
class OperatorView:
    """The installed operator, seen from outside."""

    stage: Stage

    def leader(self) -> str:
        """Name of the pod that holds the Lease. Raises `AssertionError` when none of the running ones does."""
        holder = str(self.stage.kubectl.get(OPERATOR, "lease", "foresail")["spec"].get("holderIdentity") or "")
        name = holder.rpartition("_")[0]
        assert name in {pod["metadata"]["name"] for pod in self.pods()}, f"the Lease is held by {holder!r}"
        return name

    def pods(self) -> list[Any]:
        return self.stage.kubectl.items(OPERATOR, "pods", "app.kubernetes.io/component=operator")

    def page(self, path: str, pod: str | None = None) -> str:
        """Of the leader, or of another of its pods: /metrics, /healthz, /readyz, /probes, /decisions."""
        status = self.stage.kubectl.get(OPERATOR, "pod", pod or self.leader())["status"]
        with site(self.stage.cluster, f"{status['podIP']}:8080") as server:
            return server.text(path)

    def decisions(self, workload: str, most: int = 50, since_s: float = 0.0) -> list[Any]:
        """Of NAMESPACE/NAME, newest first; none from before that Unix time."""
        status = self.stage.kubectl.get(OPERATOR, "pod", self.leader())["status"]
        with site(self.stage.cluster, f"{status['podIP']}:8080") as server:
            found = server.json(f"/decisions?workload={workload}&limit={most}")
        assert isinstance(found, list)
        return [one for one in found if datetime.fromisoformat(one["at"]).timestamp() >= since_s]

    def newest(self, workloads: Collection[str]) -> dict[str, Any]:
        """The last decision about each of these, None before the first."""
        status = self.stage.kubectl.get(OPERATOR, "pod", self.leader())["status"]
        with site(self.stage.cluster, f"{status['podIP']}:8080") as server:
            return {name: next(iter(server.json(f"/decisions?workload={name}&limit=1")), None) for name in workloads}

    def metric(self, name: str, **labels: str) -> float | None:
        """Of the leader; None when there is no such series. Several series of these labels are added up."""
        found = [
            float(line.rpartition(" ")[2])
            for line in self.page("/metrics").splitlines()
            if line.partition("{")[0].partition(" ")[0] == name
            and all(f'{label}="{value}"' in line for label, value in labels.items())
        ]
        return sum(found) if found else None

    def policy(self, namespace: str, name: str) -> Any:
        return self.stage.kubectl.get(namespace, "resiliencepolicy", name)

    def condition(self, namespace: str, name: str, kind: str) -> Any:
        """Of a policy; empty while there is none of this type."""
        conditions = self.policy(namespace, name).get("status", {}).get("conditions", [])
        return next((found for found in conditions if found["type"] == kind), {})

    def wait_for_lead(self, limit_s: float = 120.0) -> str:
        return wait_until("a running operator to lead", self.leader, limit_s)
