"""Takes back what Foresail left on objects, found by its label: after its expiry, or all of it.

Needs nothing but the API server, so that a job beside a dead operator can do it. What somebody else has written since
stays as it is; only our mark goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from foresail.actuators import brownout, marks, paths, replacement, scale
from foresail.actuators.api import Api, Json
from foresail.actuators.floors import HPA_FLOOR, KEDA_FLOOR, descended
from foresail.actuators.management import PodHttp
from foresail.actuators.patching import Patch, annotation
from foresail.actuators.paths import Kind
from foresail.actuators.refusals import HOPELESS, ActRefused, RefusalReason, Refused
from foresail.actuators.settings import ActuatorSettings
from foresail.actuators.standing import Field, PlainField, Plan, Remembered, restored, send, unsign
from foresail.actuators.targets import Directory, WorkloadTarget
from foresail.actuators.traffic import SHIFTED, traffic_on
from foresail.actuators.weights import ROUTE
from foresail.actuators.zones import CORDON

#: Undone in this order on one object: a pod serves again before its ReplicaSet counts it again.
ORDER = (
    marks.CORDON,
    marks.DRAINED,
    marks.SHIFTED,
    marks.DETACHED,
    marks.BROWNOUT,
    marks.FLOOR,
    marks.SCALE,
    marks.WEIGHTS,
)


#: Kinds that a cluster may lack, or that an installation may have no right to.
OPTIONAL = frozenset({paths.NODES, paths.SCALED_OBJECTS, paths.ROUTES})


@dataclass(frozen=True, slots=True)
class Undone:
    """One act taken back, or brought a step nearer to it."""

    act: str  # the last part of the mark's name: floor, scale, drained, …
    path: str
    how: str  # restored, lowered, reattached, evicted; forgotten: what is left ends by itself


@dataclass(frozen=True, slots=True)
class Reverted:
    undone: tuple[Undone, ...] = ()
    pending: int = 0  # floors and replicas on their way down: call again in a minute
    refused: tuple[Refused, ...] = ()


@dataclass(slots=True)
class Reverter:
    """Goes through all objects that carry the label. `directory` and `http` end HTTP drains too, where they are."""

    api: Api
    settings: ActuatorSettings
    memory: Remembered
    directory: Directory | None = None
    http: PodHttp | None = None
    _undone: list[Undone] = field(default_factory=list)
    _refused: list[Refused] = field(default_factory=list)
    _pending: int = 0

    def expired(self, now_s: float) -> Reverted:
        return self._run(now_s, everything=False, periods_left=None)

    def all(self, now_s: float, periods_left: int | None = None) -> Reverted:
        """`periods_left`: minutes in which floors have to be down, 0: at once, None: as long as it takes."""
        return self._run(now_s, everything=True, periods_left=periods_left)

    def _run(self, now_s: float, everything: bool, periods_left: int | None) -> Reverted:
        self._undone, self._refused, self._pending = [], [], 0
        for kind, seen in self._managed():
            for key in (*ORDER, marks.CONTESTED):
                try:
                    self._look(kind, seen, key, now_s, everything, periods_left)
                except ActRefused as refused:
                    if refused.reason is not RefusalReason.NOT_FOUND:
                        self._refused.append(refused.refused)
                    if refused.reason in HOPELESS:
                        return Reverted(tuple(self._undone), self._pending, tuple(self._refused))
        return Reverted(tuple(self._undone), self._pending, tuple(self._refused))

    def _managed(self) -> Iterator[tuple[Kind, Json]]:
        """Every object that carries our label. A kind that the cluster lacks has none."""
        cluster_wide = (paths.NODES,) if self.settings.zone_shift else ()
        kinds = (*cluster_wide, paths.PODS, paths.HPAS, paths.SCALED_OBJECTS, paths.DEPLOYMENTS, paths.STATEFUL_SETS)
        for kind in (*kinds, *self.settings.scale_kinds, *((paths.ROUTES,) if self.settings.weights else ())):
            for namespace in (None,) if kind == paths.NODES else self.settings.watch_namespaces or (None,):
                try:
                    found = self.api.items(paths.path(kind, namespace), f"{marks.MANAGED_LABEL}=true")
                except ActRefused as refused:
                    # Without the right to read an optional kind there was none to write it either.
                    silent = refused.reason is RefusalReason.FORBIDDEN and kind in {
                        *OPTIONAL,
                        *self.settings.scale_kinds,
                    }
                    if refused.reason is not RefusalReason.NOT_FOUND and not silent:
                        self._refused.append(refused.refused)
                    if refused.reason in HOPELESS:
                        return
                    continue
                for seen in found:
                    yield kind, seen

    def _look(self, kind: Kind, seen: Json, key: str, now_s: float, everything: bool, periods_left: int | None) -> None:
        path = paths.path(kind, seen["metadata"].get("namespace"), seen["metadata"]["name"])
        if key == marks.CONTESTED:
            return self._forget_contest(seen, path, now_s, everything)
        mark = marks.read(seen, key)
        if mark is None:
            return
        if not everything and mark.expires_at_s > now_s:
            if self.memory.of(path, key, seen) is None:
                self.memory.note(path, key, seen, mark)
            return
        how = self._undo(kind, seen, path, key, now_s, periods_left)
        self._undone.append(Undone(key.partition("/")[2], path, how))
        self._pending += how == "lowered"

    def _undo(self, kind: Kind, seen: Json, path: str, key: str, now_s: float, periods_left: int | None) -> str:
        match key:
            case marks.FLOOR:
                return self._lower(path, KEDA_FLOOR if kind == paths.SCALED_OBJECTS else HPA_FLOOR, now_s, periods_left)
            case marks.SCALE:
                done = scale.give_back(self.api, kind, path, now_s, self.api.fence.epoch, periods_left)
                if done:
                    self.memory.note(path, key, seen, None)
                return "restored" if done else "lowered"
            case marks.DETACHED:
                return replacement.end_expired(self.api, seen, self.memory)
            case marks.DRAINED:
                target = self._target(seen, key)
                token = self.settings.control_token_file
                traffic_on(self.api, path, target, self.memory, self.http, token)
                return "restored"
            case marks.BROWNOUT:
                mark = marks.read(seen, key)
                target = self._target(seen, key)
                token = self.settings.control_token_file
                lasts = mark is not None and mark.expires_at_s > now_s
                return brownout.end(self.api, path, target if lasts else None, self.memory, self.http, token, lasts)
        fields: dict[str, Field] = {marks.CORDON: CORDON, marks.SHIFTED: SHIFTED, marks.WEIGHTS: ROUTE}
        send(self.api, path, key, self.memory, lambda found: restored(found, fields[key]))
        return "restored"

    def _lower(self, path: str, field: PlainField, now_s: float, periods_left: int | None) -> str:
        how = "restored"

        def plan(found: Json) -> Plan | None:
            nonlocal how
            planned = descended(found, field, now_s, self.api.fence.epoch, periods_left)
            how = "lowered" if planned is not None and planned.mark is not None else "restored"
            return planned

        send(self.api, path, field.key, self.memory, plan)
        return how

    def _forget_contest(self, seen: Json, path: str, now_s: float, everything: bool) -> None:
        until = annotation(seen, marks.CONTESTED)
        if until is None or not (everything or not until.isdigit() or float(until) <= now_s):
            return

        def plan(found: Json) -> Plan | None:
            if annotation(found, marks.CONTESTED) is None:
                return None
            patch = Patch(found)
            unsign(patch, found, marks.CONTESTED)
            return Plan(patch, None)

        send(self.api, path, marks.CONTESTED, self.memory, plan)
        self._undone.append(Undone("contested", path, "forgotten"))

    def _target(self, seen: Json, key: str) -> WorkloadTarget | None:
        """Whose act it was, for its management port; drains and ceilings end by themselves where nobody knows."""
        mark = marks.read(seen, key)
        if self.directory is None or mark is None or not mark.about:
            return None
        try:
            return self.directory.find(mark.about)
        except ActRefused:
            return None
