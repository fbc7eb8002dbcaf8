"""One look of the operator's eyes whose figures a real Prometheus once answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import api_objects
import real_prometheus
from mock_prometheus import SyntheticShop
from synthetic_cluster import policy_of, state_of

from foresail.declared import Declared
from foresail.live_metrics import LiveMetrics
from foresail.objects.fast_watch import FastLook
from foresail.objects.object_state import ObjectState
from foresail.objects.object_watch import ObjectsHealth
from foresail.policy_store import PolicyStore
from policies.model import DatabaseSeen, Observation
from policies.ports import Metrics


class Recorded:
    """Figures as a real Prometheus once answered them. Whatever is asked for, these are what it is told."""

    def __init__(self) -> None:
        self._numbers = real_prometheus.observed(real_prometheus.Replaying())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._numbers, name)

    def watch(self, watched: object, index: object) -> None: ...

    def start(self, now_s: float) -> None: ...

    def refresh(self, now_s: float) -> None: ...


@dataclass
class RecordedObjects:
    """The Deployment whose requests were recorded, at rest."""

    seen_state: ObjectState

    def state(self) -> ObjectState:
        return self.seen_state

    def health(self, now_s: float) -> ObjectsHealth:
        return ObjectsHealth(True, 0.0, {})

    def seen(self, now_s: float) -> tuple[DatabaseSeen, ...]:
        return ()

    def look(self, now_s: float) -> FastLook:
        return FastLook(now_s)


def recorded_look() -> Observation:
    """One look at the moment of the record."""
    hash_ = real_prometheus.WEB_1.split("-")[1]
    labels = {"app": "web", "pod-template-hash": hash_}
    owner = f"web-{hash_}"
    bodies = [
        api_objects.node(),
        api_objects.deployment(),
        api_objects.replica_set(owner, hash_=hash_),
        api_objects.hpa(),
        *(
            api_objects.pod(name, owner=owner, labels=dict(labels))
            for name in (real_prometheus.WEB_1, real_prometheus.WEB_2)
        ),
    ]
    policy = policy_of(SyntheticShop(workloads=1))
    policy["metadata"]["namespace"] = "shop"
    policy["spec"]["targets"] = [{"name": "web", "role": "Entry", "workload": {"name": "web"}}]
    objects, store = RecordedObjects(state_of(bodies)), PolicyStore()
    store.listed(store.listing(), [policy])
    metrics: Metrics = LiveMetrics(objects, Declared(store, objects, lambda: False), Recorded(), objects, objects)
    return metrics.observe(real_prometheus.NOW_S)
