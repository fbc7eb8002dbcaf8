"""What measures the operator: stand-ins that answer its own clients, and how figures are read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kubernetes import client

from chaos.operator_bench import bench, processes
from chaos.operator_bench.bench import Watched, figures, image_size
from chaos.operator_bench.json_patches import PatchRefused, patched
from chaos.operator_bench.processes import NoAnswer, Running
from chaos.operator_bench.synthetic_shop import PODS_EACH, SyntheticShop, metrics, objects, pod_names
from chaos.shop_bench.figure import Figure
from foresail.actuators import paths
from foresail.actuators.api import Api
from foresail.objects.object_watch import ObjectWatch
from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.settings import Connection
from foresail.prometheus.watched import PodFacts, PodIndex
from foresail.prometheus.watched import Watched as WatchedWorkload
from foresail.resources.mapping import mapped
from foresail.resources.matching import WorkloadRef
from foresail.resources.policy_resource import read_policy

NOW_S = 1_800_000_000.0


@contextmanager
def stand_in(module: str, workloads: int, folder: Path) -> Iterator[Any]:
    with processes.stand_in(f"chaos.operator_bench.{module}", workloads, folder) as said:
        yield said


def test_the_api_stands_in_for_a_cluster_that_the_operator_can_watch(tmp_path: Path) -> None:
    with stand_in("stand_in_api", 25, tmp_path) as said:
        configuration = client.Configuration(host=said["api"])
        configuration.retries = False
        with client.ApiClient(configuration) as api:
            watch = ObjectWatch(api)
            watch.start()
            try:
                assert watch.wait_synced(30.0)
                state = watch.state()
            finally:
                watch.stop()

    assert state is not None and len(state.workloads) == 25
    one = state.workloads["shop-1/web-20"]
    assert [pod.meta.name for pod in one.pods] == pod_names("web-20")
    assert one.hpa is not None and one.hpa.min_replicas == PODS_EACH


def test_what_is_written_to_it_is_told_to_who_watches(tmp_path: Path) -> None:
    with stand_in("stand_in_api", 1, tmp_path) as said:
        configuration = client.Configuration(host=said["api"])
        configuration.retries = False
        with client.ApiClient(configuration) as api:
            watch = ObjectWatch(api)
            watch.start()
            try:
                assert watch.wait_synced(30.0)
                raised = [{"op": "replace", "path": "/spec/minReplicas", "value": 7}]
                Api(api, Leading(), timeout_s=5.0).patch(paths.path(paths.HPAS, "shop-0", "web-0"), raised)
                assert watch.wait_until(lambda: _least(watch) == 7, 30.0)
            finally:
                watch.stop()


class Leading:
    epoch = 1

    def may_write(self, timeout_s: float) -> bool:
        return True


def _least(watch: ObjectWatch) -> int | None:
    state = watch.state()
    hpa = None if state is None else state.workloads["shop-0/web-0"].hpa
    return None if hpa is None else hpa.min_replicas


def test_prometheus_stands_in_with_three_series_worth_a_forecast_for_every_workload(tmp_path: Path) -> None:
    shop = SyntheticShop(3)
    index = PodIndex(
        {
            f"{namespace}/{pod}": PodFacts(f"{namespace}/{name}", memory_limit_mib=256.0)
            for namespace, name, _ in shop.places()
            for pod in pod_names(name)
        }
    )
    with stand_in("stand_in_prometheus", 3, tmp_path) as url:
        numbers = PrometheusMetrics(PrometheusClient(Connection(url)))
        numbers.watch((WatchedWorkload(f"{namespace}/{name}") for namespace, name, _ in shop.places()), index)
        numbers.start(NOW_S)
        numbers.refresh(NOW_S)

    demand, signals = numbers.demand_history(NOW_S), numbers.signal_history(NOW_S)
    assert demand is not None and signals is not None
    # Workload 2 gets 12 requests/s, give or take its ripple of 3 %.
    assert demand.values_rps[2, -1] == pytest.approx(12.0, rel=0.04)
    assert len(signals.targets) == 3 * PODS_EACH


def test_its_policies_are_valid_and_bind_every_workload() -> None:
    shop = SyntheticShop(21)
    bodies = list(objects(shop, pod_port=9090))
    resources = [read_policy(body) for body in bodies if body["kind"] == "ResiliencePolicy"]
    refs = tuple(WorkloadRef(namespace, name, "Deployment", {}) for namespace, name, _ in shop.places())

    found = mapped(resources, refs, NOW_S)

    assert len(found.bindings) == 21 and found.problems == ()


def test_values_are_the_same_whenever_they_are_asked_for() -> None:
    _, values = metrics(SyntheticShop(4))["otel-http/offered"]
    times = np.array([NOW_S, NOW_S + 15.0])

    assert values(times)[:, 1].tolist() == values(times[1:])[:, 0].tolist()


def test_patches_are_applied_as_an_api_server_does() -> None:
    before = {"spec": {"minReplicas": 2}, "metadata": {"annotations": {"a/b": "1"}}}

    after = patched(
        before,
        [
            {"op": "test", "path": "/spec/minReplicas", "value": 2},
            {"op": "replace", "path": "/spec/minReplicas", "value": 5},
            {"op": "remove", "path": "/metadata/annotations/a~1b"},
            {"op": "add", "path": "/metadata/annotations/c", "value": "2"},
        ],
    )

    assert after == {"spec": {"minReplicas": 5}, "metadata": {"annotations": {"c": "2"}}}
    assert before["spec"] == {"minReplicas": 2}


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "test", "path": "/spec/minReplicas", "value": 3}, id="another-value"),
        pytest.param({"op": "replace", "path": "/spec/paused", "value": True}, id="nothing-to-replace"),
        pytest.param({"op": "remove", "path": "/status/x"}, id="nothing-to-remove"),
        pytest.param({"op": "move", "path": "/spec/minReplicas"}, id="unknown"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchRefused):
        patched({"spec": {"minReplicas": 2}}, [operation])


def test_watches_that_are_opened_anew_are_no_requests_of_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    found = by_name(monkeypatch, api_requests={"WATCH pods": 5, "PATCH resiliencepolicies/status": 3})

    assert found["100 workloads: API requests per tick beside the Lease"].value == 1.0


def test_cpu_is_a_share_of_the_time_that_was_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    found = by_name(monkeypatch, cpu_s=0.9)["100 workloads: CPU, share of a core"]

    # 0.9 s of 45 s.
    assert found.value == pytest.approx(0.02) and found.verdict == "aim"


def test_of_some_ticks_the_slow_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = by_name(monkeypatch, ticks_s=[0.2, 0.1, 5.0])["100 workloads: one tick, p95"]

    assert found.value == 5.0 and found.detail["p50_s"] == 0.2


def by_name(monkeypatch: pytest.MonkeyPatch, **seen: Any) -> dict[str, Figure]:
    class Memory:
        proportional_mib, resident_mib = 150.0, 160.0

    monkeypatch.setattr(bench, "memory_below", lambda pid: Memory())
    monkeypatch.setattr(Running, "peak_mib", lambda self: 170.0)
    watched = Watched(**{"ticks_s": [0.1, 0.2, 0.3], "queries": [6.0, 7.0, 12.0], "seconds": 45.0, **seen})
    return {figure.name: figure for figure in figures(100, Running(1, 2, "", ""), watched)}


def test_an_operator_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        running = Running(1, unused.getsockname()[1], "", "")

        with pytest.raises(NoAnswer, match="/metrics gave no answer"):
            running.metrics()


def test_the_size_of_an_image_is_that_of_its_archive(tmp_path: Path) -> None:
    archive = tmp_path / "foresail.tar"
    archive.write_bytes(b"x" * 2_000_000)

    assert image_size(archive).value == 2.0


def test_without_an_archive_its_size_is_unknown(tmp_path: Path) -> None:
    assert image_size(tmp_path / "none.tar").verdict == "unknown"
