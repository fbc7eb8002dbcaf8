"""What the operator would decide now about policies in a file: one look, one tick, nothing written anywhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kubernetes import client

from forecasting.forecast import Forecaster
from foresail.actuators.api import OpenFence
from foresail.checkpoint import CheckpointStore, CheckpointUnavailable
from foresail.declared import Declared
from foresail.eyes import build_numbers
from foresail.forecasters import forecaster
from foresail.live_metrics import LiveMetrics
from foresail.objects.databases import DatabaseWatch
from foresail.objects.fast_watch import FastWatch
from foresail.objects.object_watch import ObjectWatch, WatchSettings
from foresail.policy_store import PolicyStore
from foresail.prometheus.recording import NoRecorder
from foresail.resources.problems import Problem
from foresail.settings import Settings
from foresail.watching import databases, fast_plan
from foresail.wiring import loop_maker
from policies.decision import Action, Decision
from policies.loop import ControlLoop
from policies.model import Mode, PolicySet

log = logging.getLogger("foresail.plan")


#: For all lists together; tens of thousands of pods take a few seconds.
PATIENCE_S = 30.0


class PlanFailed(Exception):
    """There is no picture of the cluster to decide on: its text says what is missing."""


@dataclass(frozen=True, slots=True)
class Planned:
    """`checkpoint_at_s`: when the memory was written that it was decided with, None: with none, nothing learned."""

    decisions: tuple[Decision, ...]
    problems: tuple[Problem, ...]
    checkpoint_at_s: float | None
    metrics_age_s: float | None


class _Nobody:
    """Hands that do nothing. Never asked: everything is only recommended."""

    def apply(self, action: Action, decision: Decision, now_s: float) -> bool:
        return False


def dry_run(
    settings: Settings,
    api: client.ApiClient,
    bodies: Iterable[object],
    *,
    remembered: bool = True,
    model: Forecaster | None = None,
) -> Planned:
    """Decides once. `remembered` False leaves the leader's checkpoint aside. Raises `PlanFailed`."""
    store = PolicyStore()
    store.listed(store.listing(), bodies)
    objects = ObjectWatch(api, WatchSettings(namespaces=settings.watch_namespaces), scalables=settings.scale_resources)
    declared = Declared(store, objects, lambda: False, weights=settings.weights)
    watch = DatabaseWatch(lambda: databases(declared.mapped(time.time())), objects.state)
    fast = FastWatch(lambda: fast_plan(objects.state(), declared.mapped(time.time()), settings))
    numbers = build_numbers(settings, NoRecorder())
    objects.start()
    try:
        if not objects.wait_synced(PATIENCE_S):
            raise PlanFailed(_missing(objects))
        now_s = time.time()
        watch.look()
        metrics = LiveMetrics(objects, declared, numbers, watch, fast)
        make_loop = loop_maker(model or forecaster(settings), settings.seed)
        policies = _only_recommended(declared.policies(now_s))
        loop = make_loop(metrics, _Nobody(), policies)
        checkpoint_at_s = _restored(loop, settings, api) if remembered else None
        if remembered and checkpoint_at_s is None:
            loop = make_loop(metrics, _Nobody(), policies)
        decisions = loop.tick(now_s)
        age_s = None if numbers is None else numbers.metrics_age_s(now_s)
        return Planned(decisions, declared.mapped(now_s).problems, checkpoint_at_s, age_s)
    finally:
        objects.stop(2.0)
        watch.stop()


def _only_recommended(declared: PolicySet) -> PolicySet:
    """So that decisions say what would be done, whatever the policy's mode is."""
    return replace(
        declared,
        workloads={name: replace(policy, mode=Mode.RECOMMEND) for name, policy in declared.workloads.items()},
    )


def _restored(loop: ControlLoop, settings: Settings, api: client.ApiClient) -> float | None:
    """When the memory that the loop now has was written; None: it has none, for want of one or of the right to it."""
    store = CheckpointStore(client.CoreV1Api(api), settings.namespace, OpenFence(), settings.api_timeout_s)
    try:
        found = store.read()
        if found.value is None:
            return None
        loop.restore(found.value)
    except CheckpointUnavailable as error:
        log.info("checkpoint_not_read", extra={"problem": str(error)})
        return None
    except Exception:
        log.exception("checkpoint_not_restored")
        return None
    return found.written_at_s


def _missing(objects: ObjectWatch) -> str:
    kinds = objects.health(time.time()).kinds
    unknown = {name: health.error for name, health in kinds.items() if not health.synced}
    told = "; ".join(f"{name}: {error or 'no answer'}" for name, error in sorted(unknown.items()))
    return f"the cluster's objects could not be listed: {told}"
