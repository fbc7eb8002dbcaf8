"""Hands of the control loop on a real cluster: the `Cluster` port over the API server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kubernetes import client

from foresail.actuators import floors, replacement, scale, switchover, traffic, weights
from foresail.actuators.api import Api, Fence
from foresail.actuators.brownout import Ceilings
from foresail.actuators.intents import Intents, intent_of
from foresail.actuators.management import PodHttp
from foresail.actuators.refusals import ActRefused, RefusalReason, Refused
from foresail.actuators.revert import Reverted, Reverter
from foresail.actuators.settings import ActuatorSettings
from foresail.actuators.standing import Remembered, Stamp
from foresail.actuators.targets import Directory, WorkloadTarget
from foresail.actuators.zone_shifts import ZoneShifts
from policies.decision import (
    Action,
    Decision,
    DetachPod,
    EvictPod,
    ReattachPod,
    RestoreZone,
    SetBrownout,
    SetFloor,
    SetScale,
    SetTraffic,
    SetWeights,
    ShiftZone,
    SwitchOver,
)

SWITCHING_TAKES_S = 60.0  # a switchover that was asked for is not asked for again within this
INTENT_LASTS_S = 3600.0  # one that nobody came back to is history


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action, for events and metrics. `partial`: what did not work while the act itself did."""

    at_s: float
    action: Action
    decision: str
    refused: Refused | None = None
    partial: tuple[Refused, ...] = ()


class LiveCluster:
    """Applies actions, each idempotent, fenced and reversible. For one thread.

    `record` hears of every outcome.
    """

    def __init__(
        self,
        api_client: client.ApiClient,
        directory: Directory,
        fence: Fence,
        settings: ActuatorSettings,
        record: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._api = Api(api_client, fence, settings.api_timeout_s)
        self._http = PodHttp(self._api.check_fence, settings.pod_timeout_s)
        self._directory, self._fence, self._settings = directory, fence, settings
        self._record = record
        self._memory = Remembered()
        self._intents = Intents(self._api, settings.namespace, settings.identity)
        self._ceilings = Ceilings(self._api, self._http, self._memory, self._find, settings.control_token_file)
        self._shifts = ZoneShifts(self._api, self._intents, self._memory, self._find, settings.zone_shift)
        self._reverter = Reverter(self._api, settings, self._memory, directory, self._http)
        self._epoch: int | None = None  # the term whose intents we hold
        self._listed = False  # whether the marks of earlier terms are known
        self._weighed_at_s: dict[str, float] = {}

    def close(self) -> None:
        self._http.close()

    def apply(self, action: Action, decision: Decision, now_s: float) -> bool:
        """False: refused, and `record` was told why."""
        refused: Refused | None = None
        partial: list[ActRefused] = []
        try:
            self._api.check_fence(self._settings.api_timeout_s)
            self._lead(now_s)
            partial = self._do(action, decision, now_s)
        except ActRefused as error:
            refused = error.refused
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # An object of another shape than its kind promises. It must not end the loop for all other workloads.
            refused = Refused(RefusalReason.MALFORMED, f"{type(action).__name__}: {type(error).__name__}: {error}")
        if self._record is not None:
            said = tuple(error.refused for error in partial)
            self._record(Outcome(now_s, action, decision.id, refused, said))
        return refused is None

    def settle(self, now_s: float) -> Reverted:
        """Takes back what has expired, keeps shifted zones empty and ceilings known. Call every tick.

        Nothing due and nothing to keep up costs no request.

        What a predecessor left is looked for once in each term of leadership.
        """
        if not self._fence.may_write(self._settings.api_timeout_s):
            return Reverted()
        try:
            self._lead(now_s)
        except ActRefused as error:
            return Reverted(refused=(error.refused,))
        reverted = Reverted()
        if not self._listed or self._memory.due(now_s):
            reverted = self._reverter.expired(now_s)
            self._listed = self._listed or not reverted.refused
            if not reverted.refused:
                self._memory.drop_due(now_s)
        left = [*reverted.refused, *self._shifts.tend(now_s), *self._ceilings.tend(now_s)]
        return Reverted(reverted.undone, reverted.pending, tuple(left))

    def _do(self, action: Action, decision: Decision, now_s: float) -> list[ActRefused]:
        """What did not work beside the act itself. Raises `ActRefused` where the act did not happen."""
        stamp = self._stamp(action, decision.id, now_s)
        match action:
            case SetFloor():
                floors.set_floor(self._api, self._find(action.workload), action, stamp, self._memory)
            case SetScale():
                scale.set_scale(self._api, self._find(action.workload), action, stamp, self._memory)
            case SetTraffic():
                target = self._find(action.workload)
                if decision.fast and not action.on:
                    # A pod that answers nobody cannot be told, and the next dead one would wait for the time limit.
                    target = replace(target, drain=None)
                token = self._settings.control_token_file
                return traffic.set_traffic(self._api, target, action, stamp, self._memory, self._http, token)
            case DetachPod():
                replacement.detach(self._api, self._find(action.workload), action.pod, stamp, self._memory)
            case ReattachPod():
                path = self._find(action.workload).pod_path(action.pod)
                replacement.reattach(self._api, path, self._memory)
            case EvictPod():
                target = self._find(action.workload)
                replacement.evict(self._api, target.pod_path(action.pod), target.namespace)
            case ShiftZone():
                return self._shifts.begin(action, stamp)
            case RestoreZone():
                return self._shifts.end(action.zone, action.workloads)
            case SwitchOver():
                self._switch_over(action, stamp)
            case SetBrownout():
                return self._ceilings.set(action, stamp)
            case SetWeights():
                self._weigh(action, stamp)
        return []

    def _stamp(self, action: Action, decision: str, now_s: float) -> Stamp:
        expires_at_s = getattr(action, "expires_at_s", None)
        if isinstance(action, SetTraffic) and not action.on and expires_at_s is None:
            raise ActRefused(RefusalReason.INVALID, f"{action.pod}: traffic off needs an expiry")
        undoes = isinstance(action, SetTraffic) and action.on
        if expires_at_s is not None and expires_at_s <= now_s and not undoes:
            detail = f"{type(action).__name__} was to end {now_s - expires_at_s:.0f} s ago"
            raise ActRefused(RefusalReason.ALREADY_EXPIRED, detail)
        return Stamp(now_s, now_s if expires_at_s is None else expires_at_s, self._fence.epoch, decision)

    def _find(self, workload: str) -> WorkloadTarget:
        found = self._directory.find(workload)
        if found is None:
            raise ActRefused(RefusalReason.UNKNOWN_WORKLOAD, f"{workload} is no workload of this cluster")
        return found

    def _weigh(self, action: SetWeights, stamp: Stamp) -> None:
        if not self._settings.weights:
            raise ActRefused(RefusalReason.SWITCHED_OFF, "writing HTTPRoutes is switched off")
        last_s = self._weighed_at_s.get(action.workload)
        if last_s is not None and stamp.now_s - last_s < weights.LEAST_PERIOD_S:
            detail = f"{action.workload}: its weights were written {stamp.now_s - last_s:.0f} s ago"
            raise ActRefused(RefusalReason.TOO_SOON, detail)
        if weights.set_weights(self._api, self._find(action.workload), action, stamp, self._memory):
            self._weighed_at_s[action.workload] = stamp.now_s

    # Acts of several steps

    def _switch_over(self, action: SwitchOver, stamp: Stamp) -> None:
        """Asked once. Whether it happened is read from the cluster, now or at the next call."""
        key = f"switchover/{action.database}"
        target = self._find(action.workload)
        urls = switchover.member_urls(self._api, target)
        view = switchover.cluster_view(self._http, urls, action.leader)
        asked = self._intents.open.get(key)
        if view.leader == action.candidate:
            self._intents.finish(key)
            return
        if asked is not None and stamp.now_s - asked.at_s < SWITCHING_TAKES_S:
            return  # it is under way
        switchover.check(view, action, urls)
        headers = switchover.authorization(target.patroni_credentials_file or self._settings.patroni_credentials_file)
        self._intents.begin(intent_of(key, action, stamp))
        objection = switchover.ask(self._http, urls[action.leader], action, headers)
        if switchover.cluster_view(self._http, urls, action.candidate).leader == action.candidate:
            self._intents.finish(key)
        elif objection is not None:
            self._intents.finish(key)
            raise objection

    # Terms of leadership

    def _lead(self, now_s: float) -> None:
        """Once a term: makes us the only writer of intents, and goes on with what a predecessor had begun."""
        epoch = self._fence.epoch
        if self._epoch == epoch:
            return
        self._listed = False
        begun = self._intents.take_over(epoch)
        self._epoch = epoch
        for intent in begun:
            if intent.act == ShiftZone.__name__:
                self._shifts.resume(intent, now_s)
            elif now_s - intent.at_s >= INTENT_LASTS_S:
                self._intents.finish(intent.key)
