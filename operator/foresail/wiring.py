"""The composition root: every adapter is made here, or in `eyes` where it only looks, and nowhere else."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable

from kubernetes import client

from forecasting.forecast import Forecaster
from foresail.actuators.api import Api
from foresail.actuators.live_cluster import LiveCluster, Outcome
from foresail.actuators.settings import ActuatorSettings
from foresail.checkpoint import CheckpointStore
from foresail.event_posting import EventPoster
from foresail.events import EventRecorder, Reference
from foresail.eyes import Eyes, build_eyes, build_numbers
from foresail.forecasters import forecaster
from foresail.lead import Lead, Periods
from foresail.leadership.election import Election, Timing
from foresail.leadership.keeper import LeaderKeeper, steady_clock
from foresail.leadership.lease import KubernetesLease
from foresail.logs import DecisionLog
from foresail.operator_process import Operator, Part
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.runner import Clocks, Runner
from foresail.settings import Settings
from foresail.state_directory import StateDirectory
from foresail.status_reporter import StatusPoster, StatusReporter
from foresail.telemetry.health import Vitals, alive, ready
from foresail.telemetry.journal import Journal
from foresail.telemetry.metrics import Telemetry
from foresail.telemetry.server import Pages, TelemetryServer
from policies.loop import ControlLoop
from policies.model import PolicySet
from policies.ports import Cluster, Metrics

log = logging.getLogger("foresail.wiring")


def build(settings: Settings, api: client.ApiClient, model: Forecaster | None = None) -> Operator:
    """The operator of one replica, not started. `model` None: as the installation has it."""
    telemetry, journal = Telemetry(settings.exported_workloads), Journal()
    identity = f"{settings.replica}_{uuid.uuid4().hex[:8]}"

    def leadership_changed(leads: bool) -> None:
        runner.wake()
        if leads:
            eyes.lister.list_soon()
        else:
            telemetry.follows()
            statuses.forget()

    keeper = _keeper(settings, api, identity, leadership_changed)
    eyes = build_eyes(settings, api, lambda: runner.looked())
    cluster = LiveCluster(
        api,
        StateDirectory(eyes.objects.state, eyes.declared.bindings, settings.secrets_folder),
        keeper.fence,
        _actuator_settings(settings, identity),
        _recording(telemetry),
    )
    checkpoints = CheckpointStore(client.CoreV1Api(api), settings.namespace, keeper.fence, settings.api_timeout_s)
    statuses = StatusPoster(Api(api, keeper.fence, settings.api_timeout_s))
    events = EventPoster(client.EventsV1Api(api), settings.replica, settings.api_timeout_s)
    numbers = build_numbers(settings, telemetry)
    metrics = eyes.metrics(numbers)
    make_loop = loop_maker(model or forecaster(settings), settings.seed)
    periods = Periods(settings.checkpoint_period_s, settings.checkpoint_before_acts_s)
    runner = Runner(
        lambda epoch: Lead(make_loop, metrics, cluster, checkpoints, periods, epoch, cluster.settle),
        metrics,
        eyes.declared,
        keeper,
        (
            telemetry,
            journal,
            DecisionLog(),
            EventRecorder(events.post, eyes.reference_of, _lease_reference(settings)),
            StatusReporter(eyes.store, eyes.declared, statuses),
        ),
        Clocks(steady_clock, time.time),
        settings.tick_s,
        settings.fast_tick_s,
    )
    _measure(telemetry, runner, eyes, events, numbers)
    return Operator(
        store=eyes.store,
        runner=runner,
        keeper=keeper,
        server=TelemetryServer(_pages(settings, telemetry, journal, runner, eyes), settings.http_port),
        parts=(
            Part(eyes.objects.start, lambda: eyes.objects.stop(2.0)),
            Part(eyes.kill_switch.start, lambda: eyes.kill_switch.stop(1.0)),
            Part(eyes.own_pods.start, lambda: eyes.own_pods.stop(1.0)),
            Part(eyes.lister.start, lambda: eyes.lister.stop(1.0)),
            Part(eyes.databases.start, eyes.databases.stop),
            Part(eyes.fast.start, eyes.fast.stop),
            Part(statuses.start, lambda: statuses.stop(1.0)),
            Part(events.start, lambda: events.stop(1.0)),
        ),
    )


def loop_maker(model: Forecaster, seed: int) -> Callable[[Metrics, Cluster, PolicySet], ControlLoop]:
    """One model for demand and failure signals: it keeps nothing, the loop keeps a state for each."""

    def make_loop(metrics: Metrics, cluster: Cluster, policies: PolicySet) -> ControlLoop:
        return ControlLoop(metrics, model, model, cluster, policies, seed)

    return make_loop


def _keeper(
    settings: Settings, api: client.ApiClient, identity: str, on_change: Callable[[bool], None]
) -> LeaderKeeper:
    timing = Timing(settings.lease_duration_s, settings.lease_renew_deadline_s, settings.lease_retry_s)
    # So short that a leader can ask three times before it must give up.
    timeout_s = min(settings.api_timeout_s, timing.renew_deadline_s / 3.0)
    lease = KubernetesLease(client.CoordinationV1Api(api), settings.namespace, settings.lease_name, timeout_s)
    return LeaderKeeper(Election(lease, identity, timing, steady_clock, time.time), timing.retry_s, on_change)


def _actuator_settings(settings: Settings, identity: str) -> ActuatorSettings:
    return ActuatorSettings(
        namespace=settings.namespace,
        identity=identity,
        api_timeout_s=settings.api_timeout_s,
        watch_namespaces=settings.watch_namespaces,
        zone_shift=settings.zone_shift,
        weights=settings.weights,
        scale_kinds=settings.scale_resources,
    )


def _recording(telemetry: Telemetry) -> Callable[[Outcome], None]:
    """Refusals are counted by reason and logged with their detail: the loop only knows that there was one."""

    def record(outcome: Outcome) -> None:
        for refused in (outcome.refused, *outcome.partial):
            if refused is None:
                continue
            telemetry.refused(refused.reason.value)
            fields = {
                "decision_id": outcome.decision,
                "action": type(outcome.action).__name__,
                "reason": refused.reason.value,
                "detail": refused.detail,
                "partial": refused is not outcome.refused,
            }
            log.warning("write_refused", extra=fields)

    return record


def _lease_reference(settings: Settings) -> Reference:
    return Reference("coordination.k8s.io/v1", "Lease", settings.namespace, settings.lease_name)


def _pages(settings: Settings, telemetry: Telemetry, journal: Journal, runner: Runner, eyes: Eyes) -> Pages:
    vitals = Vitals(
        age_s=runner.age_s,
        last_tick_age_s=runner.last_tick_age_s,
        objects_age_s=lambda: eyes.objects.health(time.time()).age_s,
        policies_known=lambda: eyes.store.known,
        objects_known=lambda: eyes.objects.state() is not None and eyes.kill_switch.known,
        observed=lambda: runner.progress.observed,
    )
    return Pages(
        registry=telemetry.registry,
        health=lambda: alive(vitals, settings.stale_after_s),
        readiness=lambda: ready(vitals),
        probes=lambda: eyes.fast.published(time.time()),
        decisions=journal.newest_first,
    )


def _measure(
    telemetry: Telemetry, runner: Runner, eyes: Eyes, events: EventPoster, numbers: PrometheusMetrics | None
) -> None:
    telemetry.watch_runner(runner)
    telemetry.add_gauge(
        "foresail_objects_age_seconds",
        "Since the API server's last word about the kind that was silent for longest.",
        lambda: eyes.objects.health(time.time()).age_s,
    )
    telemetry.add_gauge("foresail_policies", "ResiliencePolicies.", lambda: float(len(eyes.store.snapshot().resources)))
    telemetry.add_gauge("foresail_kill_switch", "1: everything but undoing stops.", lambda: float(eyes.kill_switch.on))
    telemetry.add_count("foresail_events_dropped", "Kubernetes Events not written.", lambda: float(events.dropped))
    if numbers is not None:
        telemetry.add_gauge("foresail_history_bytes", "Memory of the metrics' history.", lambda: float(numbers.nbytes))
        telemetry.add_gauge("foresail_prometheus_queries", "Queries of the last tick.", lambda: float(numbers.queries))
