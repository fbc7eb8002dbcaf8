"""What the charts make is admitted by a real API server: defaults, validation and CEL rules as on any cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from chaos.clusters.bare.abandoned import take_down_abandoned
from chaos.clusters.bare.cluster import BareCluster
from chaos.clusters.plan import ClusterPlan
from chaos.clusters.providers import bare_cluster, folders_here, why_no_bare_cluster
from charts import FORESAIL, PROFILES, Manifest, manifests, needs_helm, of_kind

WHY_NOT = why_no_bare_cluster(os.environ, with_optional=False)

pytestmark = [
    needs_helm,
    pytest.mark.xdist_group("cluster"),
    # In CI they fail, saying the same.
    pytest.mark.skipif(WHY_NOT is not None and os.environ.get("CI") != "true", reason=str(WHY_NOT)),
]

#: Custom resources of others, whose definitions are not here.
FOREIGN = ("ServiceMonitor", "PrometheusRule")
#: As Helm 4 applies.
DRY_RUN = ("apply", "--server-side", "--dry-run=server", "-f", "-")


@pytest.fixture(scope="module")
def cluster() -> Iterator[BareCluster]:
    """The smallest there is, with Foresail's resource defined, and nothing else."""
    folders = folders_here(os.environ)
    take_down_abandoned(folders, ("charts",))
    made = bare_cluster(ClusterPlan(name=f"charts-{os.getpid()}", nodes=1, zones=1), folders, lambda _: None)
    try:
        made.up()
        definition = str(FORESAIL / "files" / "crd.yaml")
        done_by(made, "config", "set-context", "--current", "--namespace=here")
        done_by(made, "apply", "--server-side", "-f", definition)
        done_by(made, "wait", "--for=condition=Established", "-f", definition)
        yield made
    finally:
        made.down()


def kubectl(cluster: BareCluster, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(cluster.site.programs / "kubectl"), f"--kubeconfig={cluster.kubeconfig}", *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=180)


def done_by(cluster: BareCluster, *words: str, given: str = "") -> None:
    done = kubectl(cluster, *words, given=given)
    assert done.returncode == 0, done.stderr


def around(rendered: list[Manifest]) -> list[Manifest]:
    """What has to be there before them: their namespaces, and the accounts of pods that are no controller's."""
    names = {"here", *(manifest["metadata"].get("namespace", "here") for manifest in rendered)}
    accounts = {pod["spec"]["serviceAccountName"] for pod in of_kind(rendered, "Pod")}
    made = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}} for name in sorted(accounts)]
    return [*(namespace(name) for name in sorted(names)), *made]


def namespace(name: str) -> Manifest:
    """One whose API server says what the strictest security standard would object to."""
    warned = {"pod-security.kubernetes.io/warn": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": warned}}


def listed(items: list[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.mark.parametrize("profile", PROFILES)
def test_the_api_server_admits_every_object_without_a_warning(cluster: BareCluster, profile: str) -> None:
    rendered = [manifest for manifest in manifests(profile) if manifest["kind"] not in FOREIGN]
    done_by(cluster, "apply", "--server-side", "-f", "-", given=listed(around(rendered)))

    admitted = kubectl(cluster, *DRY_RUN, given=listed(rendered))

    assert admitted.returncode == 0, admitted.stderr
    assert admitted.stderr == ""
    assert len(admitted.stdout.splitlines()) == len(rendered)


def test_a_policy_with_a_mistake_is_not_admitted(cluster: BareCluster) -> None:
    policy = next(manifest for manifest in manifests("shop-tiny-enforce") if manifest["kind"] == "ResiliencePolicy")
    done_by(cluster, "apply", "--server-side", "-f", "-", given=listed(around([policy])))
    wrong = {**policy, "spec": {**policy["spec"], "mode": "Always"}}

    refused = kubectl(cluster, *DRY_RUN, given=json.dumps(wrong))

    assert refused.returncode != 0
    assert "spec.mode" in refused.stderr
