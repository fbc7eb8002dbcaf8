"""A small shop on the fake API server, and a live cluster to act on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_api import FakeApi
from fake_store import Object

from foresail.actuators.api import Api, OpenFence
from foresail.actuators.live_cluster import LiveCluster, Outcome
from foresail.actuators.management import PodHttp
from foresail.actuators.refusals import RefusalReason
from foresail.actuators.revert import Reverted, Reverter
from foresail.actuators.settings import ActuatorSettings
from foresail.actuators.standing import Remembered
from foresail.actuators.targets import Endpoint, LiveDirectory, WorkloadTarget
from foresail.objects.selectors import Selector
from policies.decision import Action, Decision
from policies.model import Mode

NOW_S = 1_800_000_000.0
HPA, SCALED = "horizontalpodautoscalers", "scaledobjects"
WEB = "shop/web"
ZONE = "topology.kubernetes.io/zone"


@dataclass(slots=True)
class StageFence:
    """A lease that lasts until the test says otherwise."""

    epoch: int = 1
    leads: bool = True

    def may_write(self, timeout_s: float) -> bool:
        return self.leads


@dataclass(slots=True)
class Stage:
    api: FakeApi
    extras: dict[str, WorkloadTarget] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    opened: list[LiveCluster] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    fence: StageFence = field(default_factory=StageFence)

    def cluster(self, epoch: int | None = None) -> LiveCluster:
        """A process of its own. `epoch`: the term in which it leads; None shares the stage's fence."""
        fence = self.fence if epoch is None else StageFence(epoch)
        settings = ActuatorSettings(
            **({"identity": f"replica-{len(self.opened)}", "api_timeout_s": 10.0, "pod_timeout_s": 5.0} | self.settings)
        )
        client = self.api.client()
        directory = LiveDirectory(Api(client, fence, settings.api_timeout_s), self.extras, settings.scale_kinds)
        made = LiveCluster(client, directory, fence, settings, self.outcomes.append)
        self.opened.append(made)
        return made

    def revert_expired(self, now_s: float) -> Reverted:
        """As the job beside the operator does it, which knows nothing but what the objects say."""
        return self._reverter().expired(now_s)

    def revert_all(self, now_s: float, periods_left: int | None = None) -> Reverted:
        return self._reverter().all(now_s, periods_left)

    def _reverter(self) -> Reverter:
        api = Api(self.api.client(), OpenFence(), 10.0)
        token = self.settings.get("control_token_file")
        settings = ActuatorSettings(zone_shift=True, weights=True, control_token_file=token)
        return Reverter(api, settings, Remembered(), LiveDirectory(api, self.extras), PodHttp(api.check_fence, 5.0))

    def knows(
        self,
        drain: Endpoint | None = None,
        brownout: Endpoint | None = None,
        routes: tuple[str, ...] = (),
        patroni_port: int = 8008,
    ) -> None:
        """What no object says about the web workload."""
        self.extras[WEB] = WorkloadTarget(
            WEB,
            ("apps/v1", "deployments"),
            Selector(),
            drain=drain,
            brownout=brownout,
            routes=routes,
            patroni_port=patroni_port,
        )

    @property
    def why(self) -> RefusalReason | None:
        """Of the last outcome."""
        refused = self.outcomes[-1].refused
        return None if refused is None else refused.reason

    def get(self, plural: str, name: str, namespace: str = "shop") -> Object:
        return self.api.get(plural, namespace, name)

    def spec(self, plural: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(plural, name)["spec"]
        return found

    def mark(self, plural: str, name: str, act: str) -> dict[str, Any] | None:
        text = (self.get(plural, name)["metadata"].get("annotations") or {}).get(f"foresail.dev/{act}")
        return None if text is None else json.loads(text)

    def traces(self) -> list[str]:
        """Whatever of ours is left on any object but the operator's own."""
        found = []
        for rows in self.api.store.objects.values():
            for row in rows.values():
                meta = row["metadata"]
                keys = [*(meta.get("annotations") or {}), *(meta.get("labels") or {})]
                ours = [key for key in keys if key.startswith("foresail.dev/") and key != "foresail.dev/traffic"]
                if ours and meta.get("namespace") != "foresail":
                    found.append(f"{row['kind']} {meta['name']}: {ours}")
        return found

    def writes(self) -> list[str]:
        """What was written since, without the operator's own ConfigMap."""
        lines = [request.line for request in self.api.writes if "foresail-intents" not in request.line]
        return [line for line in lines if not line.endswith("/namespaces/foresail/configmaps")]

    def sets(self, plural: str, name: str, edit: Callable[[Object], object], namespace: str = "shop") -> None:
        """Somebody else's write."""
        self.api.change(plural, namespace, name, edit)


def decision(ident: str = "d-1", fast: bool = False) -> Decision:
    return Decision(ident, NOW_S, WEB, Mode.ENFORCE, (), (), fast=fast)


def furnish(api: FakeApi) -> None:
    """Three nodes in two zones, a Deployment `web` of four pods with an HPA, a Service that listens, and a budget."""
    for name, zone in (("n1", "a"), ("n2", "a"), ("n3", "b")):
        api.put(row("v1", "Node", name, None, labels={ZONE: zone}))
    template: Object = {"metadata": {"labels": {"app": "web"}}, "spec": {}}
    spec = {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    status = {"observedGeneration": 1, "replicas": 4, "updatedReplicas": 4}
    api.put(row("apps/v1", "Deployment", "web", spec=spec) | {"status": status})
    api.put(row("apps/v1", "ReplicaSet", "web-7f", labels={"pod-template-hash": "7f"}, spec={"replicas": 4}))
    for number, node in enumerate(("n1", "n2", "n3", "n3"), start=1):
        api.put(pod(f"web-{number}", node))
    selector = {"app": "web", "foresail.dev/traffic": "on"}
    api.put(row("v1", "Service", "web", spec={"selector": selector}))
    hpa = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 10}
    api.put(row("autoscaling/v2", "HorizontalPodAutoscaler", "web", spec=hpa))
    budget = {"selector": {"matchLabels": {"app": "web"}}}
    api.put(row("policy/v1", "PodDisruptionBudget", "web", spec=budget) | {"status": {"disruptionsAllowed": 1}})


def pod(name: str, node: str, ip: str = "127.0.0.1", owner: str = "web-7f", **labels: str) -> Object:
    own = {"app": "web", "foresail.dev/traffic": "on", "pod-template-hash": "7f"} | labels
    made = row("v1", "Pod", name, labels=own, spec={"nodeName": node})
    made["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": owner, "controller": True}]
    ready = [{"type": "Ready", "status": "True"}]
    return made | {"status": {"phase": "Running", "podIP": ip, "conditions": ready}}


def row(
    api_version: str,
    kind: str,
    name: str,
    namespace: str | None = "shop",
    labels: dict[str, str] | None = None,
    spec: Object | None = None,
) -> Object:
    meta: Object = {"name": name} | ({} if namespace is None else {"namespace": namespace})
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": meta | ({"labels": labels} if labels else {}),
        "spec": spec or {},
    }


Act = Callable[[LiveCluster], bool]


def doing(action: Action, now_s: float = NOW_S, ident: str = "d-1") -> Act:
    return lambda cluster: cluster.apply(action, decision(ident), now_s)


def token_file(folder: Path, text: str = "secret") -> Path:
    path = folder / "token"
    path.write_text(text + "\n", encoding="utf-8")
    return path
