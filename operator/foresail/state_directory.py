"""What is behind a workload's name, from the watched objects: acts cost no requests but their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from foresail.actuators import paths
from foresail.actuators.paths import Kind
from foresail.actuators.targets import PATRONI_PORT, Endpoint, WorkloadTarget
from foresail.objects.object_state import ObjectState
from foresail.objects.selectors import Selector
from foresail.resources.bindings import EndpointBinding, WorkloadBinding

_KINDS: Mapping[str, Kind] = {"Deployment": paths.DEPLOYMENTS, "StatefulSet": paths.STATEFUL_SETS}


class StateDirectory:
    """Implements `foresail.actuators.targets.Directory`. What it says may be a second old: writes are guarded."""

    def __init__(
        self,
        state: Callable[[], ObjectState | None],
        bindings: Callable[[], Mapping[str, WorkloadBinding]],
        secrets: Path | None = None,
    ) -> None:
        """`secrets`: the folder that tokens and credentials of policies lie in, None: there are none."""
        self._state, self._bindings, self._secrets = state, bindings, secrets

    def find(self, workload: str) -> WorkloadTarget | None:
        state = self._state()
        found = None if state is None else state.workloads.get(workload)
        kind = None if found is None else found.record.resource or _KINDS.get(found.kind)
        if found is None or kind is None:
            return None
        binding = self._bindings().get(workload)
        database = None if binding is None else binding.database
        return WorkloadTarget(
            key=workload,
            kind=kind,
            selector=found.record.selector or Selector(),
            hpa=None if found.hpa is None else found.hpa.meta.name,
            scaled_object=None if found.scaled_object is None else found.scaled_object.meta.name,
            drain=None if binding is None else endpoint_of(binding.drain, self._secrets),
            brownout=None if binding is None else endpoint_of(binding.brownout, self._secrets),
            routes=tuple(route.meta.name for route in found.routes),
            patroni_port=PATRONI_PORT if database is None else database.rest_port,
            patroni_members={} if database is None else database.members,
            patroni_credentials_file=None if database is None else _file(database.credentials_file, self._secrets),
        )


def endpoint_of(binding: EndpointBinding | None, secrets: Path | None) -> Endpoint | None:
    """An endpoint as acts ask it, None where the policy names none."""
    if binding is None:
        return None
    return Endpoint(binding.path, binding.port, _file(binding.token_file, secrets))


def _file(name: str | None, secrets: Path | None) -> Path | None:
    return None if name is None or secrets is None else secrets / name
