"""Parts of the control plane that can be switched off and on again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chaos.clusters.cluster import Cluster
from chaos.experiments.live.cluster_failures import cluster_failures_as
from chaos.experiments.live.kube import Kubectl
from chaos.experiments.problems import VerbFailed

CUT_LABEL = "foresail.dev/cut"


@dataclass(frozen=True, slots=True)
class HungProgram:
    """A program of the control plane that answers nobody while it is off, and forgets nothing."""

    cluster: Cluster
    program: str

    def off(self) -> None:
        with cluster_failures_as(VerbFailed):
            self.cluster.hang_program(self.program)

    def on(self) -> None:
        with cluster_failures_as(VerbFailed):
            self.cluster.resume_program(self.program)


@dataclass(frozen=True, slots=True)
class ServiceCut:
    """A Service that leads nowhere while it is off: for a metrics outage, since what it leads to goes on and forgets
    nothing. Its selector asks for a label that no pod has."""

    kubectl: Kubectl
    namespace: str
    name: str

    def off(self) -> None:
        self._select("true")

    def on(self) -> None:
        self._select(None)

    def _select(self, value: str | None) -> None:
        patch = {"spec": {"selector": {CUT_LABEL: value}}}  # null takes a key away, also one that is not there
        _patched(self.kubectl, self.namespace, f"service/{self.name}", patch)


@dataclass(frozen=True, slots=True)
class ScaledToZero:
    """A Deployment without pods while it is off: for a controller that is down."""

    kubectl: Kubectl
    namespace: str
    name: str
    replicas: int

    def off(self) -> None:
        self._scale(0)

    def on(self) -> None:
        self._scale(self.replicas)

    def _scale(self, replicas: int) -> None:
        _patched(self.kubectl, self.namespace, f"deployment/{self.name}", {"spec": {"replicas": replicas}})


def _patched(kubectl: Kubectl, namespace: str, what: str, patch: dict[str, Any]) -> None:
    with cluster_failures_as(VerbFailed):
        kubectl("-n", namespace, "patch", what, "--type=merge", "-p", json.dumps(patch))
