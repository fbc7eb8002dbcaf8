"""KEDA on a cluster, for as long as a run of its arm lasts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.live.applying import READY_LIMIT, apply
from chaos.experiments.live.keda_manifests import (
    ADAPTER,
    API_SERVICE,
    MARK,
    NAMESPACE,
    OPERATOR,
    installable,
    is_adapter,
)

_MINIMAL = "config/minimal"  # without admission webhooks
_OURS = "=".join(MARK)
_EVERYWHERE = "apiservices,customresourcedefinitions,clusterroles,clusterrolebindings,namespaces"


@dataclass(frozen=True, slots=True)
class KedaInstallation:
    """`built` is the folder of its programs and manifests, None where they are not built. All methods raise
    `ClusterFailed`; what could not be waited for stays, until `remove`.

    `kubectl` runs with the words that it is given, and `given` as its standard input.
    """

    kubectl: Callable[..., str]
    image: str
    built: Path | None

    def check(self) -> None:
        """That it can be installed: before anything is touched."""
        if self.built is None:
            raise ClusterFailed("arm keda: KEDA is not built: run `foresail cluster build --with keda`")
        for what in (f"apiservice/{API_SERVICE}", "customresourcedefinition/scaledobjects.keda.sh"):
            found = self.kubectl("get", what, "--ignore-not-found", "-o", "json")
            if found.strip() and json.loads(found)["metadata"].get("labels", {}).get(MARK[0]) != MARK[1]:
                raise ClusterFailed(
                    f"arm keda: the cluster has {what} of somebody else: take that away first, or use another cluster"
                )

    def begin(self) -> None:
        """All but the adapter, which would fall again and again for as long as the operator has made no certificate."""
        apply(self.kubectl, (one for one in self._manifests() if not is_adapter(one)))

    def finish(self) -> None:
        """Until the API server gets metrics from it. `begin` must have been called."""
        self._ready(OPERATOR)
        apply(self.kubectl, (one for one in self._manifests() if is_adapter(one)))
        self._ready(ADAPTER)
        self.kubectl("wait", f"apiservice/{API_SERVICE}", "--for=condition=Available", f"--timeout={READY_LIMIT}")

    def until_it_scales(self, namespace: str) -> None:
        """The whole way works, from Prometheus to the HPAs that KEDA made of the namespace's ScaledObjects."""
        for what, condition in (("scaledobject", "Ready"), ("hpa", "ScalingActive")):
            self.kubectl(
                "-n", namespace, "wait", what, "--all", f"--for=condition={condition}", f"--timeout={READY_LIMIT}"
            )

    def remove(self) -> None:
        """Nothing of it is left, whatever state it is in; a KEDA that somebody else installed stays."""
        if not self.kubectl("get", _EVERYWHERE, "-l", _OURS, "-o", "name").strip():
            return
        # While an API of an APIService does not answer, no namespace can be deleted.
        self._delete("apiservices")
        # ScaledObjects wait for the operator to let them go: it goes first, and they are let go without it.
        self._delete("deployments", "-n", NAMESPACE)
        self._let_go()
        self._delete("customresourcedefinitions,clusterroles,clusterrolebindings")
        self._delete("rolebindings", "-n", "kube-system")
        self._delete("namespaces")

    def _let_go(self) -> None:
        if not self.kubectl("get", "customresourcedefinition/scaledobjects.keda.sh", "--ignore-not-found").strip():
            return
        found = json.loads(self.kubectl("get", "scaledobjects.keda.sh", "-A", "-o", "json"))
        for one in found["items"]:
            where = one["metadata"]
            self.kubectl(
                *("-n", where["namespace"], "patch", "scaledobjects.keda.sh", where["name"]),
                *("--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}})),
            )

    def _manifests(self) -> list[dict[str, Any]]:
        if self.built is None:
            raise ClusterFailed("KEDA is not built")
        told = self.kubectl("kustomize", str(self.built / _MINIMAL))
        return installable(yaml.load_all(told, Loader=yaml.CSafeLoader), self.image)

    def _ready(self, deployment: str) -> None:
        self.kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{deployment}", f"--timeout={READY_LIMIT}")

    def _delete(self, kinds: str, *where: str) -> None:
        self.kubectl("delete", kinds, *where, "-l", _OURS, "--ignore-not-found", f"--timeout={READY_LIMIT}")
