"""A real Prometheus with samples of a known shop: made into blocks by promtool, served on loopback, asked and recorded.

`python tests/operator/real_prometheus.py` writes `prometheus/recorded_answers.json` anew; do that after a change to a
query. It needs `prometheus` and `promtool` on the path.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from foresail.prometheus.answers import Frame, matrix, vector
from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.settings import Connection, Reading
from foresail.prometheus.watched import PodFacts, PodIndex, Preset, Watched

RECORDED = Path(__file__).parent / "prometheus" / "recorded_answers.json"
BASE_S, STEP_S, STEPS = 1_764_000_000.0, 15.0, 41  # ten minutes; the last sample is at NOW_S - 3
NOW_S = BASE_S + STEP_S * (STEPS - 1) + 3.0
MIB = 2**20
#: The process of the first web pod restarted here: its counters began again at zero.
RESET_STEP = 30

WEB_1, WEB_2, GONE = (f"web-7d4b9c6f5d-{suffix}" for suffix in ("x2x4z", "bbbbb", "zzzzz"))
READING = Reading(demand_points=24, signal_points=9)
WATCHED = (
    Watched("shop/web", queue_limit=8.0, slo_latency_s=0.08),
    Watched("shop/patroni"),
    Watched("shop/meshed", Preset.ISTIO),
    Watched("shop/routed", Preset.NGINX_INGRESS),
    Watched("shop/backed", Preset.TRAEFIK),
)
INDEX = PodIndex(
    {
        f"shop/{WEB_1}": PodFacts("shop/web", memory_limit_mib=110.0),
        f"shop/{WEB_2}": PodFacts("shop/web", memory_limit_mib=110.0),
        "shop/patroni-0": PodFacts("shop/patroni"),
        "shop/patroni-1": PodFacts("shop/patroni"),
        "shop/meshed-0": PodFacts("shop/meshed"),
    }
)


def samples() -> str:
    """Everything that was ever scraped, in OpenMetrics' text. Rates in the comments are what queries must find."""
    families: dict[str, list[str]] = {}

    def counter(name: str, per_second: float, *, resets: bool = False, **labels: str) -> None:
        for step in range(STEPS):
            steps = step - RESET_STEP + 1 if resets and step >= RESET_STEP else step
            write(name, per_second * STEP_S * steps, step, labels)

    def gauge(name: str, value: float, *, until: int = STEPS, **labels: str) -> None:
        for step in range(until):
            write(name, value, step, labels)

    def write(name: str, value: float, step: int, labels: dict[str, str]) -> None:
        text = ",".join(f'{key}="{value}"' for key, value in {"namespace": "shop", **labels}.items())
        families.setdefault(name, []).append(f"{name}{{{text}}} {value:.10g} {BASE_S + step * STEP_S:.0f}")

    server = "http_server_request_duration_seconds"
    for pod, resets in ((WEB_1, True), (WEB_2, False)):
        ok = {"pod": pod, "route": "/p/{id}", "method": "GET", "status": "200"}
        counter(f"{server}_count", 10.0, resets=resets, **ok)
        counter(f"{server}_sum", 0.5, resets=resets, **ok)  # 0.05 s each
        for le, share in (("0.1", 0.9), ("0.4", 1.0), ("+Inf", 1.0)):
            counter(f"{server}_bucket", 10.0 * share, resets=resets, le=le, **ok)
        counter(f"{server}_count", 1.0, pod=pod, route="/healthz", method="GET", status="200")  # a probe's
    counter(f"{server}_count", 1.0, resets=True, pod=WEB_1, route="/p/{id}", method="GET", status="503")
    counter("http_client_request_duration_seconds_count", 24.0, pod="edge-0", upstream="web", status="200")
    counter("shop_client_retries_total", 1.0, pod="edge-0", upstream="web", kind="retry")
    counter("shop_client_retries_total", 5.0, pod="edge-0", upstream="web", kind="refused")
    counter("shop_shed_total", 1.5, pod=WEB_1, reason="queue_full", **{"class": "browse"})
    counter("container_cpu_usage_seconds_total", 0.5, pod=WEB_1, container="app")
    counter("container_cpu_usage_seconds_total", 0.01, pod=WEB_1, container="POD")
    counter("container_cpu_usage_seconds_total", 0.51, pod=WEB_1, container="")
    counter("process_cpu_seconds_total", 0.3, pod=WEB_1)
    counter("process_cpu_seconds_total", 0.25, pod=WEB_2)
    gauge("container_memory_working_set_bytes", 100 * MIB, pod=WEB_1, container="app", id="new")
    gauge("container_memory_working_set_bytes", 90 * MIB, pod=WEB_1, container="app", id="old")
    gauge("container_memory_working_set_bytes", 191 * MIB, pod=WEB_1, container="")
    gauge("process_resident_memory_bytes", 80 * MIB, pod=WEB_1)
    gauge("process_resident_memory_bytes", 60 * MIB, pod=WEB_2)
    gauge("process_resident_memory_bytes", 200 * MIB, pod="patroni-1", until=STEPS - 12)  # three minutes old
    gauge("db_client_connection_count", 6, pod=WEB_1, pool="write", state="used")
    gauge("db_client_connection_count", 3, pod=WEB_1, pool="write", state="idle")
    gauge("db_client_connection_max", 10, pod=WEB_1, pool="write")
    gauge("shop_admission_queued", 2, pod=WEB_1, **{"class": "bot"})
    gauge("shop_admission_queued", 3, pod=WEB_1, **{"class": "browse"})
    gauge("http_server_active_requests", 9, pod=WEB_1, method="GET")
    gauge("http_server_active_requests", 7, pod=WEB_2, method="GET")
    for pod in (WEB_1, WEB_2):
        gauge("up", 1, pod=pod)
    gauge("kubelet_volume_stats_used_bytes", 700 * MIB, persistentvolumeclaim="pgdata-patroni-0")
    gauge("kubelet_volume_stats_capacity_bytes", 1000 * MIB, persistentvolumeclaim="pgdata-patroni-0")
    for member, replica, received in (("patroni-0", 0, 0), ("patroni-1", 1, 2000)):
        gauge("patroni_replica", replica, pod=member)
        gauge("patroni_xlog_received_location", received, pod=member)
        gauge("patroni_xlog_replayed_location", 1000 * replica, pod=member)
        for step in range(STEPS):
            replayed_s = (BASE_S + step * STEP_S - 15.0) * replica
            write("patroni_xlog_replayed_timestamp", replayed_s, step, {"pod": member})

    to = {"destination_workload_namespace": "shop", "destination_workload": "meshed", "request_protocol": "http"}
    counter("istio_requests_total", 30.0, pod="edge-0", reporter="source", response_code="200", **to)
    counter("istio_requests_total", 3.0, pod="edge-0", reporter="source", response_code="0", **to)
    counter("istio_requests_total", 30.0, pod="meshed-0", reporter="destination", response_code="200", **to)
    counter("istio_request_duration_milliseconds_sum", 6000.0, pod="meshed-0", reporter="destination", **to)
    for le, share in (("100", 0.9), ("400", 1.0), ("+Inf", 1.0)):
        for pod, reporter in (("edge-0", "source"), ("meshed-0", "destination")):
            name = "istio_request_duration_milliseconds_bucket"
            counter(name, 30.0 * share, pod=pod, reporter=reporter, le=le, **to)
    exported = {"exported_namespace": "shop", "exported_service": "routed", "service": "controller", "pod": "nginx-0"}
    counter("nginx_ingress_controller_requests", 8.0, status="200", **{**exported, "namespace": "ingress"})
    counter("nginx_ingress_controller_requests", 2.0, status="502", **{**exported, "namespace": "ingress"})
    backend = {"namespace": "traefik", "service": "shop-backed-80@kubernetes", "pod": "traefik-0"}
    counter("traefik_service_requests_total", 4.0, code="200", **backend)
    counter("traefik_service_requests_total", 1.0, code="429", **backend)
    text = "".join(f"# TYPE {name} unknown\n" + "".join(f"{row}\n" for row in rows) for name, rows in families.items())
    return f"{text}# EOF\n"


@contextmanager
def real_prometheus() -> Iterator[str]:
    """The address of a Prometheus that knows these samples and scrapes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "samples").write_text(samples())
        (home / "prometheus.yml").write_text("global: {}\n")
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", home / "samples", home / "data"],
            check=True,
            capture_output=True,
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={home / 'prometheus.yml'}",
                f"--storage.tsdb.path={home / 'data'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address={address}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_ready(f"http://{address}", process)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait()


def available() -> bool:
    return all(shutil.which(program) for program in ("prometheus", "promtool"))


def _await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + 60.0
    while time.monotonic() < until_s and process.poll() is None:
        try:
            with urlopen(f"{url}/-/ready"):
                return
        except (URLError, ConnectionError):
            time.sleep(0.05)
    raise RuntimeError("Prometheus did not become ready")


class Recording:
    """A client that remembers what was answered, as rows with labels and values."""

    def __init__(self, client: PrometheusClient) -> None:
        self._client = client
        self.answers: dict[str, list[object]] = {}

    def instant(self, query: str, at_s: float, timeout_s: float | None = None) -> Frame:
        frame = self._client.instant(query, at_s, timeout_s)
        self.answers[f"{query} @ {at_s:.0f}"] = _vector_rows(frame, at_s)
        return frame

    def range(self, query: str, start_s: float, end_s: float, step_s: float, timeout_s: float | None = None) -> Frame:
        frame = self._client.range(query, start_s, end_s, step_s, timeout_s)
        self.answers[f"{query} @ {start_s:.0f}-{end_s:.0f}/{step_s:.0f}"] = _matrix_rows(frame, start_s, step_s)
        return frame


class Replaying:
    """What a real Prometheus answered once."""

    def __init__(self) -> None:
        self._answers = json.loads(RECORDED.read_text())

    def instant(self, query: str, at_s: float, timeout_s: float | None = None) -> Frame:
        return vector(self._rows(f"{query} @ {at_s:.0f}"), at_s)

    def range(self, query: str, start_s: float, end_s: float, step_s: float, timeout_s: float | None = None) -> Frame:
        rows = self._rows(f"{query} @ {start_s:.0f}-{end_s:.0f}/{step_s:.0f}")
        return matrix(rows, start_s, end_s, step_s)

    def _rows(self, key: str) -> list[object]:
        assert key in self._answers, f"never recorded: run {Path(__file__).name}; {key[:200]}"
        return list(self._answers[key])


def observed(prometheus: PrometheusClient | Recording | Replaying) -> PrometheusMetrics:
    """All that is read of this shop, at `NOW_S`."""
    metrics = PrometheusMetrics(prometheus, READING)
    metrics.watch(WATCHED, INDEX)
    metrics.start(NOW_S)
    metrics.refresh(NOW_S)
    return metrics


def _vector_rows(frame: Frame, at_s: float) -> list[object]:
    return [
        {"metric": dict(labels), "value": [at_s, str(value)]}
        for labels, value in zip(frame.labels, frame.values[:, 0].tolist(), strict=True)
    ]


def _matrix_rows(frame: Frame, start_s: float, step_s: float) -> list[object]:
    return [
        {
            "metric": dict(labels),
            "values": [[start_s + step_s * step, str(x)] for step, x in enumerate(row) if x == x],
        }
        for labels, row in zip(frame.labels, frame.values.tolist(), strict=True)
    ]


if __name__ == "__main__":
    with real_prometheus() as address:
        recording = Recording(PrometheusClient(Connection(address)))
        observed(recording)
    RECORDED.write_text(json.dumps(recording.answers, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{len(recording.answers)} answers\n")
