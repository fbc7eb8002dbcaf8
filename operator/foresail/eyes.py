"""The half of the composition root that looks: every adapter that only reads the cluster or Prometheus is made here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kubernetes import client

from foresail.declared import Declared
from foresail.events import Reference
from foresail.kill_switch import KillSwitch
from foresail.live_metrics import LiveMetrics
from foresail.objects import kinds
from foresail.objects.databases import DatabaseWatch
from foresail.objects.fast_plan import FastPlan
from foresail.objects.fast_watch import FastSettings, FastWatch
from foresail.objects.object_watch import ObjectWatch, WatchSettings
from foresail.own_pods import OwnPods
from foresail.policy_lister import PolicyLister
from foresail.policy_store import PolicyStore
from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.recording import Recorder
from foresail.prometheus.settings import Connection, Reading
from foresail.settings import Settings
from foresail.watching import databases, fast_plan

log = logging.getLogger("foresail.eyes")

_API_VERSIONS: Mapping[str, str] = {"Deployment": "apps/v1", "StatefulSet": "apps/v1"}


@dataclass(frozen=True, slots=True)
class Eyes:
    """Everything that looks at the cluster, and what people declared about it."""

    store: PolicyStore
    lister: PolicyLister
    objects: ObjectWatch
    kill_switch: KillSwitch
    own_pods: OwnPods
    declared: Declared
    databases: DatabaseWatch
    fast: FastWatch

    def metrics(self, numbers: PrometheusMetrics | None) -> LiveMetrics:
        return LiveMetrics(self.objects, self.declared, numbers, self.databases, self.fast)

    def reference_of(self, workload: str) -> Reference | None:
        """What Events about a workload refer to."""
        state = self.objects.state()
        found = None if state is None else state.workloads.get(workload)
        if found is None:
            return None
        meta = found.record.meta
        api_version = _API_VERSIONS.get(found.kind, "") if found.record.resource is None else found.record.resource[0]
        return Reference(api_version, found.kind, meta.namespace, meta.name, meta.uid)


def build_eyes(settings: Settings, api: client.ApiClient, on_look: Callable[[], None] = lambda: None) -> Eyes:
    """`on_look` hears of every round of the fast watch."""
    store = PolicyStore()
    watched = (*kinds.KINDS, kinds.ROUTES) if settings.weights else kinds.KINDS
    objects = ObjectWatch(
        api, WatchSettings(namespaces=settings.watch_namespaces), watched=watched, scalables=settings.scale_resources
    )
    kill_switch = KillSwitch(api, settings.namespace)
    # With all namespaces watched ours is among them.
    own_pods = OwnPods(api, settings.namespace if settings.watch_namespaces else None)
    declared = Declared(store, objects, lambda: kill_switch.on, weights=settings.weights)

    def plan() -> FastPlan:
        state = objects.state()
        return fast_plan(None if state is None else own_pods.added_to(state), declared.mapped(time.time()), settings)

    return Eyes(
        store=store,
        lister=PolicyLister(client.CustomObjectsApi(api), store, settings.watch_namespaces, settings.api_timeout_s),
        objects=objects,
        kill_switch=kill_switch,
        own_pods=own_pods,
        declared=declared,
        databases=DatabaseWatch(lambda: databases(declared.mapped(time.time())), objects.state),
        fast=FastWatch(plan, FastSettings(period_s=settings.fast_tick_s), on_look=on_look),
    )


def build_numbers(settings: Settings, recorder: Recorder) -> PrometheusMetrics | None:
    """None where no Prometheus is given: then metrics are unknown, and everything that needs them holds."""
    if settings.prometheus_url is None:
        log.warning("no_prometheus", extra={"fix": "set FORESAIL_PROMETHEUS_URL; until then everything holds"})
        return None
    connection = Connection(
        settings.prometheus_url,
        timeout_s=settings.prometheus_timeout_s,
        bearer_token_file=settings.prometheus_token_file,
        ca_file=settings.prometheus_ca_file,
    )
    reading = Reading(extra_matchers=settings.prometheus_matchers)
    return PrometheusMetrics(PrometheusClient(connection), reading, method=connection.method, recorder=recorder)
