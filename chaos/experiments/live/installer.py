"""Installs a shop and an arm with helm and kubectl, afresh for every run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaos.experiments.arms import LiveArm, hpa_values
from chaos.experiments.keda import scaled_objects
from chaos.experiments.live.applying import READY_LIMIT, apply
from chaos.experiments.live.cluster_failures import cluster_failures_as
from chaos.experiments.live.keda_installation import KedaInstallation
from chaos.experiments.live_plan import LivePlan
from chaos.experiments.operator_side import enforcing_patch, operator_values, policy_patch, resilience_values
from chaos.experiments.problems import RunFailed
from chaos.experiments.shop_map import merged
from forecasting.forecast import DeclaredEvent

#: A program of people's, run with these words; `given` is its standard input. Raises `ClusterFailed`.
Program = Callable[..., str]
_NOT_INSTALLED = "the arm could not be installed: {}"


@dataclass(frozen=True, slots=True)
class Releases:
    """What is installed where. `base` are values below everything that a plan says, `values` go on top of it all."""

    shop_chart: Path
    operator_chart: Path
    prometheus_url: str
    values: Mapping[str, Any]
    base: Mapping[str, Any] = field(default_factory=dict)
    shop: str = "shop"
    operator: str = "foresail"

    @property
    def credentials(self) -> str:
        """The Secret that the shop's chart puts beside the operator."""
        return f"{self.shop}-operator"


@dataclass(frozen=True, slots=True)
class HelmInstaller:
    """`Installer`. Releases have namespaces of their own name, which are deleted and made again."""

    helm: Program
    kubectl: Program
    releases: Releases
    keda: KedaInstallation

    def set_up(self, plan: LivePlan, arm: LiveArm) -> None:
        """The operator first, which brings the kind of the shop's policy; it starts when its Secret is there."""
        releases, topology = self.releases, plan.scenario.topology
        scaled = scaled_objects(arm, topology, releases.shop, releases.shop, releases.prometheus_url)
        if scaled:
            with cluster_failures_as(RunFailed, _NOT_INSTALLED):
                self.keda.check()
        self._asked(self.kubectl, "wait", "node", "--all", "--for=condition=Ready", f"--timeout={READY_LIMIT}")
        self.tear_down()
        self._make_namespaces()
        if scaled:
            with cluster_failures_as(RunFailed, _NOT_INSTALLED):
                self.keda.begin()
        operator = operator_values(arm, releases.shop, releases.credentials, releases.prometheus_url)
        if operator is not None:
            self._install(releases.operator, releases.operator_chart, operator, wait=False)
        values = merged(
            *(releases.base, plan.values, hpa_values(arm, topology)),
            *(resilience_values(arm, releases.operator), releases.values),
        )
        self._install(releases.shop, releases.shop_chart, values, wait=True)
        if scaled:
            self._scale_by_keda(scaled)
        if operator is not None:
            self._asked(
                self.kubectl, "-n", releases.operator, "rollout", "status", f"deployment/{releases.operator}",
                f"--timeout={READY_LIMIT}",
            )  # fmt: skip

    def announce(self, arm: LiveArm, events: Sequence[DeclaredEvent], zero_s: float) -> None:
        self._patch_policy(policy_patch(arm, events, datetime.fromtimestamp(zero_s, UTC)))

    def let_act(self, arm: LiveArm) -> None:
        self._patch_policy(enforcing_patch(arm))

    def tear_down(self) -> None:
        """The shop first, with its floors, which would come down a step a minute. The operator's farewell is left out:
        it has no rights to a shop that is gone, and no arm may cordon nodes."""
        with cluster_failures_as(RunFailed, _NOT_INSTALLED):
            self.keda.remove()
        for release, further in ((self.releases.shop, ()), (self.releases.operator, ("--no-hooks",))):
            words = ("--ignore-not-found", "--wait", f"--timeout={READY_LIMIT}", *further)
            self._asked(self.helm, "uninstall", release, "-n", release, *words)
            self._asked(self.kubectl, "delete", "namespace", release, "--ignore-not-found", f"--timeout={READY_LIMIT}")

    def _patch_policy(self, patch: Mapping[str, Any]) -> None:
        if patch:
            self._asked(
                self.kubectl, "-n", self.releases.shop, "patch", "resiliencepolicy", self.releases.shop,
                "--type=merge", "-p", json.dumps(patch),
            )  # fmt: skip

    def _scale_by_keda(self, scaled: Sequence[Mapping[str, Any]]) -> None:
        with cluster_failures_as(RunFailed, _NOT_INSTALLED):
            self.keda.finish()
            apply(self.kubectl, scaled)
            self.keda.until_it_scales(self.releases.shop)

    def _make_namespaces(self) -> None:
        names = (self.releases.shop, self.releases.operator)
        with cluster_failures_as(RunFailed, _NOT_INSTALLED):
            apply(
                self.kubectl, ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names)
            )

    def _install(self, name: str, chart: Path, values: Mapping[str, Any], wait: bool) -> None:
        words = ["upgrade", "--install", name, str(chart), "-n", name, "-f", "-"]
        if wait:
            words += ["--wait", f"--timeout={READY_LIMIT}"]
        self._asked(self.helm, *words, given=json.dumps(values))

    def _asked(self, program: Program, *words: str, given: str | None = None) -> None:
        with cluster_failures_as(RunFailed, _NOT_INSTALLED):
            program(*words, given=given)
