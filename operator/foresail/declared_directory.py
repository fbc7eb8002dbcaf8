"""What is behind a workload's name for a process that watches nothing: objects and policies are asked for each time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from foresail.actuators import paths
from foresail.actuators.api import Api
from foresail.actuators.paths import Kind
from foresail.actuators.targets import LiveDirectory, WorkloadTarget
from foresail.objects.fields import strings, text
from foresail.resources.crd import GROUP, PLURAL, VERSION
from foresail.resources.mapping import mapped
from foresail.resources.matching import WorkloadRef
from foresail.resources.policy_resource import read_policy
from foresail.state_directory import endpoint_of

POLICIES: Kind = (f"{GROUP}/{VERSION}", PLURAL)


@dataclass(frozen=True, slots=True)
class DeclaredDirectory:
    """Implements `foresail.actuators.targets.Directory`. `secrets`: the folder that tokens of policies lie in.

    `scale_kinds`: where workloads may be beside Deployments and StatefulSets.
    """

    api: Api
    secrets: Path | None = None
    scale_kinds: tuple[Kind, ...] = ()

    def find(self, workload: str) -> WorkloadTarget | None:
        """Raises `ActRefused` where the API server does not tell."""
        target = LiveDirectory(self.api, scale_kinds=self.scale_kinds).find(workload)
        if target is None:
            return None
        seen = self.api.get(target.path)
        ref = WorkloadRef(target.namespace, target.name, text(seen, "kind") or "", strings(seen, "metadata", "labels"))
        policies = [read_policy(body) for body in self.api.items(paths.path(POLICIES, target.namespace))]
        # Events are of no concern here, so any time will do.
        binding = mapped(policies, [ref], now_s=0.0).bindings.get(workload)
        if binding is None:
            return target
        drain, brownout = endpoint_of(binding.drain, self.secrets), endpoint_of(binding.brownout, self.secrets)
        return replace(target, drain=drain, brownout=brownout)
