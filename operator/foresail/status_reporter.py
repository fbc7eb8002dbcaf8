"""The status of every ResiliencePolicy, for people: made after each tick, written where it says something new."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from foresail.actuators import paths
from foresail.actuators.api import Api
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.policy_store import PolicyStore
from foresail.resources.conditions import conditions_of
from foresail.resources.crd import API_VERSION, PLURAL
from foresail.resources.mapping import Mapped
from foresail.resources.news import Said, news
from foresail.resources.policy_resource import PolicyResource
from foresail.resources.problems import PolicyName, Problem
from foresail.resources.reporting import status_of
from foresail.resources.shown import DemandShown, calibration_shown, demand_shown, forecasts_shown
from foresail.resources.status import Status
from foresail.tick_report import TakeOver, TickReport
from policies.decision import Action, Decision
from policies.floors import FloorState

log = logging.getLogger("foresail.status")

POLICIES = (API_VERSION, PLURAL)


class Declares(Protocol):
    def mapped(self, now_s: float) -> Mapped: ...


class Poster(Protocol):
    """`StatusPoster`."""

    def written(self, policy: PolicyName) -> Status | None: ...

    def offer(self, policy: PolicyResource, status: Status) -> None: ...


class StatusReporter:
    """An `Observer`."""

    def __init__(self, store: PolicyStore, declared: Declares, poster: Poster) -> None:
        self._store, self._declared, self._poster = store, declared, poster
        self._said: Mapping[str, Said] = {}
        self._new: list[Decision] = []

    def ticked(self, report: TickReport) -> None:
        fresh, self._said = news(_carried_out(report), self._said)
        self._new.extend(fresh)
        if report.fast:
            return
        new, self._new = tuple(self._new), []
        declared, demand = self._declared.mapped(report.at_s), demand_shown(report.demand)
        shares = _shares(declared, report)
        for resource in self._store.snapshot().resources:
            before = self._poster.written(resource.name) or self._store.status(resource.name)
            own = shares.get(resource.name, _Share())
            status = self._status(resource, declared.problems_of(resource.name), report, own, demand, new, before)
            if status != before:
                self._poster.offer(resource, status)

    def took_over(self, event: TakeOver) -> None:
        """The predecessor's status stands in the resources, and is gone on from there."""

    def _status(
        self,
        resource: PolicyResource,
        problems: tuple[Problem, ...],
        report: TickReport,
        own: _Share,
        demand: DemandShown | None,
        new: tuple[Decision, ...],
        before: Status | None,
    ) -> Status:
        shown = before or Status()
        calibration = calibration_shown(own.workloads, demand, report.memory.trust, shown.calibration)
        conditions = conditions_of(
            resource,
            problems,
            own.workloads,
            own.decisions,
            own.floors,
            calibration,
            report.at_s,
            report.policies.kill_switch,
        )
        return status_of(
            resource,
            new,
            own.floors,
            calibration,
            conditions,
            report.at_s,
            workloads=own.workloads,
            forecasts=forecasts_shown(own.workloads, demand, shown.forecasts),
            before=before,
        )


@dataclass(slots=True)
class _Share:
    """What concerns one policy: its workloads, their decisions of this tick, their floors."""

    workloads: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    floors: dict[str, FloorState] = field(default_factory=dict)


def _shares(declared: Mapped, report: TickReport) -> dict[PolicyName, _Share]:
    """Told apart in one go: hundreds of policies over thousands of workloads must not look through all of them each."""
    shares: dict[PolicyName, _Share] = {}
    by_workload: dict[str, _Share] = {}
    for name, binding in declared.bindings.items():
        share = by_workload[name] = shares.setdefault(binding.policy, _Share())
        share.workloads.append(name)
    for decision in report.decisions:
        if decision.workload in by_workload:
            by_workload[decision.workload].decisions.append(decision)
    for name, state in report.memory.scaling.items():
        if name in by_workload:
            by_workload[name].floors[name] = state.floor
    return shares


def _carried_out(report: TickReport) -> tuple[Decision, ...]:
    """The decisions without acts that were refused: what the status says was done, was done."""
    refused: dict[str, list[Action]] = {}
    for decision_id, action in report.refused:
        refused.setdefault(decision_id, []).append(action)
    return tuple(_without(decision, refused.get(decision.id, [])) for decision in report.decisions)


def _without(decision: Decision, refused: list[Action]) -> Decision:
    if not refused:
        return decision
    return replace(decision, actions=tuple(action for action in decision.actions if action not in refused))


class StatusPoster:
    """Writes the newest status of each policy in a thread of its own. What fails is offered again by the next tick."""

    def __init__(self, api: Api) -> None:
        """`api` refuses to write when this replica does not lead."""
        self._api = api
        self._changed = threading.Condition()
        self._pending: dict[PolicyName, tuple[PolicyResource, Status]] = {}
        self._written: dict[PolicyName, Status] = {}
        self._troubles: dict[PolicyName, RefusalReason] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="foresail-status", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def forget(self) -> None:
        """Another replica leads, and writes: what we wrote is no longer what stands."""
        with self._changed:
            self._written.clear()
            self._pending.clear()

    def written(self, policy: PolicyName) -> Status | None:
        with self._changed:
            return self._written.get(policy)

    def offer(self, policy: PolicyResource, status: Status) -> None:
        with self._changed:
            self._pending[policy.name] = (policy, status)
            self._changed.notify()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            policy, status = found
            try:
                self._write(policy, status)
            except ActRefused as refused:
                self._trouble(policy.name, refused)
            except Exception:
                log.exception("status_not_written", extra={"policy": str(policy.name)})

    def _next(self) -> tuple[PolicyResource, Status] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or bool(self._pending))
            if self._stopping:
                return None
            return self._pending.pop(next(iter(self._pending)))

    def _write(self, policy: PolicyResource, status: Status) -> None:
        """Replaced whole, and only on the very object that it is about."""
        path = paths.path(POLICIES, policy.name.namespace, policy.name.name, "status")
        operations: list[dict[str, object]] = [
            {"op": "test", "path": "/metadata/uid", "value": policy.uid},
            {"op": "add", "path": "/status", "value": status.body()},
        ]
        self._api.patch(path, operations)
        with self._changed:
            self._written[policy.name] = status
            self._troubles.pop(policy.name, None)

    def _trouble(self, policy: PolicyName, refused: ActRefused) -> None:
        """Logged once as long as it is the same."""
        if self._troubles.get(policy) is not refused.reason:
            self._troubles[policy] = refused.reason
            fields = {"policy": str(policy), "reason": refused.reason.value, "detail": refused.refused.detail}
            log.warning("status_not_written", extra=fields)
