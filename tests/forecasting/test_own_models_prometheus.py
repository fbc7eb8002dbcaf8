from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest

from forecasting.own_models.errors import PrometheusUnavailable
from forecasting.own_models.prometheus_series import Range, client_query, read_prometheus

NOW_S = 1_700_000_040.0
Matrix = list[dict[str, Any]]


def _matrix(points: dict[str, dict[float, str]]) -> Matrix:
    return [{"metric": json.loads(labels), "values": sorted(values.items())} for labels, values in points.items()]


class Recorder:
    """Answers range queries with what `values` says at each time, and remembers what it was asked."""

    def __init__(self, answer: Callable[[float], str | None]) -> None:
        self.asked: list[tuple[float, float, float]] = []
        self._answer = answer

    def __call__(self, query: str, start_s: float, end_s: float, step_s: float) -> Matrix:
        self.asked.append((start_s, end_s, step_s))
        times = np.arange(start_s, end_s + step_s / 2, step_s)
        values = {float(time): text for time in times if (text := self._answer(float(time))) is not None}
        return _matrix({'{"__name__": "requests", "pod": "a"}': values})


def test_long_ranges_are_asked_for_in_parts_that_join_without_seam() -> None:
    # 14 days of minutes are 20,160 points: three requests of at most 10,000.
    asked = Range.of_days(14.0, 60.0, NOW_S)
    prometheus = Recorder(lambda time_s: str(time_s / 60.0))

    (series,) = read_prometheus(prometheus, ("requests",), asked)

    assert len(prometheus.asked) == 3
    assert series.values.size == 20_160
    np.testing.assert_allclose(np.diff(series.values), 1.0)
    assert series.start_at_s is not None
    assert series.start_at_s + 20_159 * 60.0 == NOW_S - NOW_S % 60.0


def test_a_series_is_called_by_its_metric_and_labels() -> None:
    (series,) = read_prometheus(Recorder(lambda _: "1"), ("requests",), Range(6000.0, 60.0, 5))

    assert series.name == 'requests{pod="a"}'
    assert series.step_s == 60.0


def test_a_query_can_name_its_series() -> None:
    (series,) = read_prometheus(Recorder(lambda _: "1"), ("checkout/demand := sum(x)",), Range(6000.0, 60.0, 5))

    assert series.name == "checkout/demand"


def test_missing_and_unusable_samples_are_unknown() -> None:
    texts = {5760.0: "1.5", 5820.0: "NaN", 5880.0: "+Inf", 6000.0: "2.5"}

    (series,) = read_prometheus(Recorder(texts.get), ("requests",), Range(6000.0, 60.0, 5))

    np.testing.assert_array_equal(series.values, [1.5, np.nan, np.nan, np.nan, 2.5])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(lambda _: None, "finds no sample", id="nothing"),
        pytest.param(lambda _: "NaN", "finds no sample", id="all-nan"),
        # The newest of 100 points is 50 steps of a minute old: 0.8 h.
        pytest.param(lambda time_s: "1" if time_s <= 3000.0 else None, "no sample for 0.8 h", id="stale"),
    ],
)
def test_series_that_are_not_measured_are_refused(answer: Callable[[float], str | None], said: str) -> None:
    with pytest.raises(PrometheusUnavailable, match=said):
        read_prometheus(Recorder(answer), ("requests",), Range(6000.0, 60.0, 100))


@contextmanager
def _serving(status: int, body: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A local server that answers every request alike; yields its address and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlparse(self.path)
            asked.append({"path": parts.path, "token": self.headers.get("Authorization"), **parse_qs(parts.query)})
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_is_asked_over_http() -> None:
    result = [{"metric": {}, "values": [[5940, "3"], [6000, "4"]]}]
    body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})

    with _serving(200, body) as (url, asked):
        (series,) = read_prometheus(client_query(url + "/", 5.0, "secret"), ("sum(x)",), Range(6000.0, 60.0, 2))

    assert series.values.tolist() == [3.0, 4.0]
    assert series.name == "sum(x)"
    assert asked == [
        {
            "path": "/api/v1/query_range",
            "token": "Bearer secret",
            "query": ["sum(x)"],
            "start": ["5940"],
            "end": ["6000"],
            "step": ["60"],
        }
    ]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(400, '{"status":"error","error":"parse error"}', "refused 'x'.*parse error", id="bad-query"),
        pytest.param(401, "", "refused", id="no-token"),
        pytest.param(503, "", "refused", id="overloaded"),
        pytest.param(200, "<html>", "does not answer like Prometheus", id="not-prometheus"),
        pytest.param(200, '{"data": {"result": [{"metric": {}}]}}', "no sample|range of numbers", id="a-vector"),
    ],
)
def test_what_a_server_gets_wrong_is_told(status: int, body: str, said: str) -> None:
    with (
        _serving(status, body) as (url, _),
        pytest.raises(PrometheusUnavailable, match=said),
    ):
        read_prometheus(client_query(url, 5.0), ("x",), Range(6000.0, 60.0, 2))


def test_an_address_where_nobody_listens_is_told() -> None:
    with pytest.raises(PrometheusUnavailable, match="cannot be reached"):
        read_prometheus(client_query("http://127.0.0.1:9", 1.0), ("x",), Range(6000.0, 60.0, 2))


def test_an_address_without_scheme_is_refused() -> None:
    with pytest.raises(PrometheusUnavailable, match="starts with http"):
        client_query("prometheus:9090", 1.0)
