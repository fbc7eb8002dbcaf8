from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_api import FakeApi
from onboarding_manifests import (
    deployment,
    hpa,
    in_order,
    pod,
    policy,
    replica_set,
    running,
    service,
)
from typer.testing import CliRunner

from foresail.cli import app


def onboard(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["onboard", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


def written(folder: Path, *objects: dict[str, Any]) -> Path:
    path = folder / "rendered.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


@pytest.fixture
def kubeconfig(fake_api: FakeApi, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": fake_api.url}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "u", "user": {}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(configuration))
    return path


def test_manifests_in_order_pass_the_check(tmp_path):
    code, out, _ = onboard("-f", written(tmp_path, *in_order(), policy()), "--check")

    assert code == 0
    assert out.endswith("all 1 workloads are ready\n")


def test_what_is_missing_fails_the_check_and_only_the_check(tmp_path):
    rendered = written(tmp_path, deployment(label=None), service(label=False), policy())

    assert onboard("-f", rendered, "--check")[0] == 1
    code, out, _ = onboard("-f", rendered)
    assert code == 0
    assert "step 3: Let Service web select by it." in out
    assert "not yet: none of 2 Ready pods carries the label" in out


def test_json_says_the_same(tmp_path):
    _, out, _ = onboard(
        "-f", written(tmp_path, deployment(label=None), service(), policy()), "--json", "--gitops", "all"
    )

    told = json.loads(out)

    assert told["workloads"][0]["steps"][0]["patch"]["spec"]["template"]
    assert set(told["gitops"]) == {"argo", "flux", "helm4"}


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        pytest.param("argo", "RespectIgnoreDifferences=true", id="argo"),
        pytest.param("flux", "driftDetection:", id="flux"),
        pytest.param("helm4", "#   HorizontalPodAutoscaler shop/web spec.minReplicas", id="helm4"),
    ],
)
def test_rules_are_printed_for_the_tool_that_is_asked_for(tmp_path, tool, said):
    _, out, _ = onboard("-f", written(tmp_path, *in_order(), policy()), "--gitops", tool)

    assert said in out


def test_without_a_policy_every_deployment_is_looked_at(tmp_path):
    _, out, _ = onboard("-f", written(tmp_path, *in_order(), deployment("other", label=None)))

    assert "shop/web  (Deployment, Entry, policy shop/none-yet): ready" in out
    assert "shop/other" in out


def test_a_policy_of_a_file_goes_before_that_of_the_manifests(tmp_path):
    other = tmp_path / "policy.yaml"
    other.write_text(yaml.safe_dump(policy({"name": "web", "workload": {"name": "gone"}})))

    code, out, _ = onboard("-f", written(tmp_path, *in_order(), policy()), "--policy", other, "--check")

    assert code == 1
    assert "there is no Deployment shop/gone" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("a: [", "it is no YAML", id="no-yaml"),
        pytest.param("- 1", "no Kubernetes object", id="no-object"),
    ],
)
def test_unreadable_manifests_are_refused(tmp_path, content, said):
    path = tmp_path / "broken.yaml"
    path.write_text(content)

    code, _, err = onboard("-f", path)

    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("-f", "gone.yaml"), "No such file", id="no-file"),
        pytest.param(("--gitops", "svn"), "use argo, flux, helm4 or all", id="no-tool"),
        pytest.param(("-f", "x.yaml", "--context", "y"), "--filename reads no cluster", id="both-sources"),
    ],
)
def test_mistakes_are_answered_with_what_to_do(words, said):
    code, _, err = onboard(*words)

    assert code == 2
    assert said in err


def test_a_running_cluster_is_read_and_not_written(fake_api: FakeApi, kubeconfig: Path):
    pods = [pod("web-1-a", label=None), pod("web-1-b", label=None)]
    for item in (running(deployment(label=None)), replica_set(), service(label=False), hpa(), policy(), *pods):
        fake_api.put(item)

    code, out, _ = onboard("--kubeconfig", kubeconfig, "--check")

    assert code == 1
    assert "none of 2 Ready pods carries the label: Service web would have no endpoints" in out
    assert fake_api.writes == []


def test_a_cluster_without_keda_is_read_all_the_same(fake_api: FakeApi, kubeconfig: Path):
    fake_api.without("scaledobjects")
    for item in (running(deployment()), replica_set(), service(), pod("web-1-a"), pod("web-1-b"), policy()):
        fake_api.put(item)

    assert onboard("--kubeconfig", kubeconfig, "--check")[0] == 0


def test_what_may_not_be_read_is_named(fake_api: FakeApi, kubeconfig: Path):
    fake_api.put(policy())
    fake_api.forbid("list", "services")

    code, _, err = onboard("--kubeconfig", kubeconfig)

    assert code == 2
    assert "you may not read services there" in err


def test_a_cluster_without_policies_asks_for_a_namespace(fake_api: FakeApi, kubeconfig: Path):
    code, _, err = onboard("--kubeconfig", kubeconfig)

    assert code == 2
    assert "give --namespace" in err


def test_a_policy_that_is_not_there_is_said_to_be_missing(fake_api: FakeApi, kubeconfig: Path):
    fake_api.put(policy())

    code, _, err = onboard("other", "-n", "shop", "--kubeconfig", kubeconfig)

    assert code == 2
    assert "there is no ResiliencePolicy other" in err
