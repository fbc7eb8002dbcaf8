"""The whole operator under kopf, against a fake API server: what it takes in, and what it leaves alone."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import api_objects
import kopf
import pytest
import yaml
from fake_api import FakeApi
from kopf.testing import KopfRunner
from mock_prometheus import MockPrometheus, SyntheticShop
from synthetic_cluster import objects_of, policy_of

from foresail import handlers

POLICY = {
    "apiVersion": "foresail.dev/v1alpha1",
    "kind": "ResiliencePolicy",
    "metadata": {"name": "shop", "namespace": "shop", "uid": "uid-shop", "generation": 1},
    "spec": {
        "mode": "Enforce",
        "targets": [{"name": "web", "role": "Entry", "workload": {"kind": "Deployment", "name": "web"}}],
        "metrics": {"preset": "otel-http"},
    },
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Returns as soon as it holds; fails the test when it never does."""
    ends_at_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < ends_at_s, "it never came to hold"
        time.sleep(0.05)


@pytest.fixture
def shop(fake_api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    """A cluster with one Deployment, and an environment that leads there."""
    for body in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        api_objects.node(),
        api_objects.deployment(),
        api_objects.replica_set(),
        api_objects.pod(),
        api_objects.hpa(),
    ):
        fake_api.put(body)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "fake", "cluster": {"server": fake_api.url}}],
                "users": [{"name": "fake", "user": {"token": "none"}}],
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                "current-context": "fake",
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("FORESAIL_HTTP_PORT", str(free_port()))
    monkeypatch.setenv("FORESAIL_MODEL_THREADS", "1")
    monkeypatch.setenv("FORESAIL_TICK_S", "1")
    monkeypatch.setenv("FORESAIL_REPLICA", "replica-a")
    yield fake_api
    own = logging.getLogger("foresail")
    own.handlers.clear()
    own.propagate = True
    own.setLevel(logging.NOTSET)


@pytest.fixture
def prometheus() -> Iterator[MockPrometheus]:
    mock = MockPrometheus(SyntheticShop(workloads=1, pods=2))
    yield mock
    mock.close()


@pytest.fixture
def operator(shop: FakeApi) -> Iterator[KopfRunner]:
    with KopfRunner(["run", "--standalone", "-A", "-m", "foresail.handlers"], timeout=30.0) as runner:
        yield runner


def get(path: str) -> tuple[int, Any]:
    port = os.environ["FORESAIL_HTTP_PORT"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5.0) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def decided() -> list[dict[str, Any]]:
    status, text = get("/decisions")
    return json.loads(text) if status == 200 else []


def test_a_policy_is_taken_in_followed_and_let_go_without_a_trace(shop: FakeApi, operator: KopfRunner) -> None:
    until(lambda: get("/readyz")[0] == 200)
    assert get("/healthz")[0] == 200
    lease = shop.get("leases", "foresail", "foresail")
    assert lease["spec"]["holderIdentity"].startswith("replica-a_")

    shop.put(POLICY)

    until(lambda: [one["workload"] for one in decided()] == ["shop/web"])
    # No Prometheus is configured: that is no reason to act, and no reason to be silent.
    assert decided()[0]["reasons"][0]["code"] == "no_metrics"
    assert 'foresail_workloads{mode="Enforce"} 1.0' in get("/metrics")[1]
    until(lambda: "status" in shop.get("resiliencepolicies", "shop", "shop"))
    standing = shop.get("resiliencepolicies", "shop", "shop")
    assert "finalizers" not in standing["metadata"] and "annotations" not in standing["metadata"]
    touched = {write.line for write in shop.writes if "resiliencepolicies" in write.path}
    assert touched == {"PATCH /apis/foresail.dev/v1alpha1/namespaces/shop/resiliencepolicies/shop/status"}
    assert json.loads(get("/probes")[1])["zone"] == "unknown"

    shop.delete("resiliencepolicies", "shop", "shop")

    until(lambda: 'foresail_workloads{mode="Enforce"}' not in get("/metrics")[1])


def test_with_prometheus_it_forecasts_decides_and_acts(
    shop: FakeApi, prometheus: MockPrometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORESAIL_PROMETHEUS_URL", prometheus.url)
    for body in objects_of(prometheus.shop):
        if body["kind"] == "Deployment":
            # A request takes 10 ms of CPU: a pod carries two a second, and 5 to 15 come.
            body["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "20m"
        shop.put(body)
    policy = policy_of(prometheus.shop)
    policy["spec"]["scaling"] = {"capacityPriorRequestsPerSecond": 2.0}
    shop.put(policy)

    with KopfRunner(["run", "--standalone", "-A", "-m", "foresail.handlers"], timeout=30.0):
        until(lambda: shop.get("horizontalpodautoscalers", "shop-0", "web-0")["spec"]["minReplicas"] > 2, 60.0)
        until(lambda: shop.exists("configmaps", "foresail", "foresail-checkpoint-0"))
        until(lambda: any(write.path.endswith("/events") for write in shop.writes))
        metrics = get("/metrics")[1]

    assert 'foresail_forecast{horizon_s="300",model="' in metrics
    assert 'foresail_floor{workload="shop-0/web-0"}' in metrics
    assert 'foresail_actions_total{action="SetFloor"}' in metrics
    events = [write.body for write in shop.writes if write.path.endswith("/events")]
    assert events[0]["regarding"]["name"] == "web-0" and events[0]["action"] == "SetFloor"
    mark = shop.get("horizontalpodautoscalers", "shop-0", "web-0")["metadata"]["annotations"]["foresail.dev/floor"]
    assert json.loads(mark)["original"] == 2


def test_a_stopped_operator_releases_its_lease(shop: FakeApi) -> None:
    with KopfRunner(["run", "--standalone", "-A", "-m", "foresail.handlers"], timeout=30.0):
        until(lambda: shop.exists("leases", "foresail", "foresail"))
        until(lambda: get("/readyz")[0] == 200)

    lease = shop.get("leases", "foresail", "foresail")
    assert not lease["spec"].get("holderIdentity")
    assert get("/healthz")[0] == 0


def test_a_mistake_in_the_environment_ends_the_process_with_its_name(
    shop: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORESAIL_TICK_S", "soon")

    with KopfRunner(["run", "--standalone", "-A", "-m", "foresail.handlers"], timeout=30.0, reraise=False) as runner:
        until(lambda: runner.future.done())

    assert runner.exit_code != 0
    assert "FORESAIL_TICK_S is 'soon', but must be a number of seconds above 0" in runner.output + str(runner.exception)


def test_kopf_is_told_to_write_nothing() -> None:
    settings = kopf.OperatorSettings()

    handlers.quieten(settings)

    assert settings.peering.standalone and not settings.posting.enabled
    body = kopf.Body({"metadata": {"annotations": {}}, "status": {}})
    patch = kopf.Patch()
    settings.persistence.progress_storage.touch(body=body, patch=patch, value="now")
    settings.persistence.diffbase_storage.store(body=body, patch=patch, essence={})
    assert not patch
