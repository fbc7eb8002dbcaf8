"""`foresail plan` on a fake API server and a mock Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fake_api import FakeApi
from mock_prometheus import MockPrometheus, SyntheticShop
from synthetic_cluster import objects_of, policy_of
from typer.testing import CliRunner, Result

from foresail.cli import app

SHOP = SyntheticShop(workloads=2, pods=2)


@pytest.fixture
def prometheus() -> Iterator[MockPrometheus]:
    mock = MockPrometheus(SHOP)
    yield mock
    mock.close()


@pytest.fixture
def cluster(fake_api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    for body in objects_of(SHOP):
        fake_api.put(body)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "fake", "cluster": {"server": fake_api.url}}],
                "users": [{"name": "fake", "user": {"token": "none"}}],
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                "current-context": "fake",
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("FORESAIL_MODEL_THREADS", "1")
    return fake_api


def plan(folder: Path, *options: str, policy: object = None) -> Result:
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(policy or policy_of(SHOP)))
    return CliRunner().invoke(app, ["plan", "--policy", str(path), *options])


def test_it_says_what_would_be_done_and_writes_nothing(
    cluster: FakeApi, prometheus: MockPrometheus, tmp_path: Path
) -> None:
    policy = policy_of(SHOP)
    policy["spec"]["scaling"] = {"capacityPriorRequestsPerSecond": 2.0}
    for name in ("web-0", "web-1"):
        # A request takes 10 ms of CPU: a pod carries two a second, and 5 to 15 come.
        cluster.change(
            "deployments",
            "shop-0",
            name,
            lambda row: row["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].update(cpu="20m"),
        )

    done = plan(tmp_path, "--prometheus", prometheus.url, policy=policy)

    assert done.exit_code == 0, done.output
    assert "With nothing learned yet" in done.output and "Metrics: " in done.output
    assert "shop-0/web-0\n" in done.output and "shop-0/web-1\n" in done.output
    assert "Would raise the floor of shop-0/web-0 from 2 to" in done.output
    assert cluster.writes == []


def test_without_metrics_it_says_that_everything_holds(cluster: FakeApi, tmp_path: Path) -> None:
    done = plan(tmp_path, "--json")

    told = json.loads(done.stdout)
    assert told["metricsAgeSeconds"] is None
    assert [one["reasons"][0]["code"] for one in told["decisions"]] == ["no_metrics", "no_metrics"]


def test_a_mistake_in_the_policy_names_its_field(cluster: FakeApi, tmp_path: Path) -> None:
    policy = policy_of(SHOP)
    policy["spec"]["targets"][1]["workload"]["name"] = "nobody"

    done = plan(tmp_path, policy=policy)

    assert done.exit_code == 1
    assert "spec.targets[1].workload: there is no Deployment shop-0/nobody" in done.output


def test_a_cluster_that_cannot_be_read_is_told_by_kind(
    cluster: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.forbid("list", "horizontalpodautoscalers")
    monkeypatch.setattr("foresail.dry_run.PATIENCE_S", 0.5)

    done = plan(tmp_path)

    assert done.exit_code == 2
    assert "horizontalpodautoscalers: " in done.output


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("a: [", "it is no YAML", id="no-yaml"),
        pytest.param("", "it holds no ResiliencePolicy", id="empty"),
        pytest.param(None, "No such file", id="no-file"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "policy.yaml"
    if text is not None:
        path.write_text(text)

    done = CliRunner().invoke(app, ["plan", "--policy", str(path)])

    assert done.exit_code == 2 and problem in done.output
