"""A Prometheus for tests and benchmarks: real HTTP on loopback, synthetic shops of any size, and every bad habit.

It does not evaluate PromQL. It reads from a query which figures are asked for (the tags that presets put there) and
answers each with series of a `SyntheticShop`, as functions of time only, so that the past can be asked for again.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

_TAG = re.compile(r'"foresail","([a-z-]+/[a-z0-9_]+)"')
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
Values = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


class Hostile(StrEnum):
    """What can be wrong with an answer."""

    NAN = "nan"
    INFINITE = "infinite"
    EMPTY = "empty"
    WARNINGS = "warnings"
    SILENT = "silent"  # no answer until the server ends
    DRIP = "drip"  # a byte now and then
    HUGE = "huge"
    SCALAR = "scalar"
    OTHER_TYPE = "other type"  # a matrix for a vector and the other way round
    DUPLICATES = "duplicates"
    ERROR = "error"  # as Prometheus says it
    ERROR_WITH_200 = "error with 200"
    HTML = "html"
    UNAVAILABLE = "unavailable"
    REDIRECT = "redirect"
    CUT_OFF = "cut off"
    HUNG_UP = "hung up"
    OLD = "old"  # points of ten minutes ago, and of no step
    SKEWED = "skewed"  # the server's clock is an hour late
    NEGATIVE = "negative"
    TEXT = "text"  # no numbers
    NULL = "null"
    ROWS = "rows"  # rows that are no objects
    LIST = "list"  # JSON, but no envelope


@dataclass(frozen=True)
class Series:
    """One row of an answer: `values` of the times asked for, NaN where it has none."""

    labels: Mapping[str, str]
    values: Values


@dataclass
class SyntheticShop:
    """`workloads` × `pods` in as many `namespaces`; workload k gets 10 + k mod 100 requests per second, up and down."""

    workloads: int = 10
    pods: int = 3
    namespaces: int = 1
    period_s: float = 3600.0
    absent: set[str] = field(default_factory=set)  # pods ("namespace/pod") that are not scraped
    since_s: float = 0.0  # before that, nothing was measured

    def names(self) -> list[str]:
        return [f"shop-{k % self.namespaces}/web-{k}" for k in range(self.workloads)]

    def pods_of(self, key: str) -> list[str]:
        """Names as a Deployment gives them, hash and suffix without vowels."""
        return [f"{key}-{_suffix(key, 9)}-{_suffix(f'{key}{pod}', 5)}" for pod in range(self.pods)]

    def rate_rps(self, key: str, times: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Requests of one pod."""
        base = (10.0 + int(key.rpartition("-")[2]) % 100) / self.pods
        rate = base * (1.0 + 0.5 * np.sin(2.0 * np.pi * times / self.period_s))
        return np.where(times >= self.since_s, np.round(rate, 6), np.nan)

    def series(self, tag: str) -> list[Series]:
        """Rows of one figure, with the labels that the presets' sums leave."""
        preset, _, figure = tag.partition("/")
        by_workload = {
            "offered": lambda key: lambda t: self._scraped(key) * self.rate_rps(key, t),
            "failed": lambda key: lambda t: 0.01 * self._scraped(key) * self.rate_rps(key, t),
            "latency_p99": lambda key: lambda t: 0.2 + 0.0 * self.rate_rps(key, t),
        }
        by_pod = {
            "requests": lambda key: lambda t: self.rate_rps(key, t),
            "errors": lambda key: lambda t: 0.01 * self.rate_rps(key, t),
            "busy_s": lambda key: lambda t: 0.05 * self.rate_rps(key, t),
            "latency_p99": lambda key: lambda t: 0.2 + 0.0 * self.rate_rps(key, t),
            "cpu_cores": lambda key: lambda t: 0.01 * self.rate_rps(key, t),
            "memory_bytes": lambda key: lambda t: 2.0**20 * (100.0 + (t % 7200.0) / 100.0),
            "pool_used": lambda key: lambda t: 4.0 + 0.0 * t,
            "pool_size": lambda key: lambda t: 10.0 + 0.0 * t,
        }
        grouped = figure in by_workload and tag != "otel-http/latency_p99:pod"
        if grouped:
            return [
                Series(_workload_labels(preset, key), by_workload[figure](key))
                for key in self.names()
                if self._scraped(key)
            ]
        make = by_pod.get(figure.removesuffix(":pod"))
        if make is None:
            return []
        extra = {"pool": "main"} if figure.startswith("pool") else {}
        return [
            Series({"namespace": key.partition("/")[0], "pod": pod.partition("/")[2], **extra}, make(key))
            for key in self.names()
            for pod in self.pods_of(key)
            if pod not in self.absent
        ]

    def _scraped(self, key: str) -> int:
        return sum(pod not in self.absent for pod in self.pods_of(key))


def _workload_labels(preset: str, key: str) -> dict[str, str]:
    namespace, _, name = key.partition("/")
    return {
        "otel-http": {"namespace": namespace, "foresail_group": name},
        "istio": {"destination_workload_namespace": namespace, "destination_workload": name},
        "nginx-ingress": {"namespace": namespace, "service": name},
        "traefik": {"service": f"{namespace}-{name}-80@kubernetes"},
    }[preset]


def _suffix(seed: str, length: int) -> str:
    number = sum((place + 1) * ord(letter) * 2_654_435_761 for place, letter in enumerate(seed))
    return "".join(_LETTERS[(number >> (3 * place)) % len(_LETTERS)] for place in range(length))


@dataclass
class Asked:
    """One request as it came: what for, how, and with which parameters."""

    path: str
    method: str
    parameters: dict[str, str]
    headers: dict[str, str]
    address: str = ""

    @property
    def query(self) -> str:
        return self.parameters.get("query", "")


class MockPrometheus:
    """Answers until `close`. `hostile`: how every answer is spoilt, or only those whose query `spoils` says."""

    def __init__(self, shop: SyntheticShop | None = None) -> None:
        self.shop = shop or SyntheticShop()
        self.custom: dict[str, Sequence[Series]] = {}  # by the whole expression
        self.extra: dict[str, Sequence[Series]] = {}  # by tag, instead of the shop's
        self.interval = Series({}, lambda t: 21.0 + 0.0 * t)  # samples in five minutes: one every 15 s
        self.hostile: Hostile | None = None
        self.spoils: Callable[[str], bool] = lambda query: True
        self.now_s: float | None = None  # what the Date header says, None: no such header
        self.asked: list[Asked] = []
        self._cache: dict[str, list[Series]] = {}
        self._ended = threading.Event()
        mock = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                mock._serve(self, urlsplit(self.path).query)

            def do_POST(self) -> None:
                mock._serve(self, self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler, text: str) -> None:
        path = urlsplit(handler.path).path
        parameters = {name: values[0] for name, values in parse_qs(text).items()}
        asked = Asked(path, handler.command, parameters, dict(handler.headers.items()), handler.path)
        self.asked.append(asked)
        hostile = self.hostile if self.hostile is not None and self.spoils(asked.query) else None
        if hostile in _BROKEN:
            _BROKEN[hostile](self, handler)
            return
        body = self._answer(path, parameters, hostile)
        status = 422 if hostile is Hostile.ERROR else 200
        self._send(handler, status, body, skew_s=-3600.0 if hostile is Hostile.SKEWED else 0.0)

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        skew_s: float = 0.0,
    ) -> None:
        handler.send_response_only(status)
        if self.now_s is not None:
            handler.send_header("Date", formatdate(self.now_s + skew_s, usegmt=True))
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _answer(self, path: str, parameters: Mapping[str, str], hostile: Hostile | None) -> bytes:
        if hostile in (Hostile.ERROR, Hostile.ERROR_WITH_200):
            return json.dumps({"status": "error", "errorType": "execution", "error": "too many samples"}).encode()
        if hostile is Hostile.NULL:
            return b'{"status":"success","data":null}'
        if hostile is Hostile.LIST:
            return b"[]"
        ranged = path.endswith("query_range")
        if ranged:
            start, end, step = (float(parameters[name].removesuffix("s")) for name in ("start", "end", "step"))
            times = start + step * np.arange(round((end - start) / step) + 1)
        else:
            times = np.array([float(parameters["time"])])
        kind = "matrix" if ranged else "vector"
        if hostile is Hostile.OTHER_TYPE:
            kind = "vector" if ranged else "matrix"
        if hostile is Hostile.SCALAR:
            return b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}'
        rows = [] if hostile is Hostile.EMPTY else self._rows(parameters["query"], times, ranged, hostile)
        if hostile is Hostile.ROWS:
            rows = ["1", '"row"', "null", '{"metric":{"pod":7},"value":[1,"2"]}', '{"metric":{}}']
        warnings = ',"warnings":["store eu-2 did not answer"]' if hostile is Hostile.WARNINGS else ""
        data = f'{{"resultType":"{kind}","result":[{",".join(rows)}]}}'
        return f'{{"status":"success"{warnings},"data":{data}}}'.encode()

    def _rows(self, query: str, times: np.ndarray[Any, Any], ranged: bool, hostile: Hostile | None) -> list[str]:
        stamps = (times - 607.0 if hostile is Hostile.OLD else times).tolist()
        rows = []
        for series, head in self._series(query):
            values = series.values(times)
            known = ~np.isnan(values)
            if not known.any():
                continue
            texts = [_spoilt(value, hostile) for value in values.tolist()]
            if ranged:
                kept = zip(stamps, texts, known.tolist(), strict=True)
                points = ",".join(f'[{at},"{text}"]' for at, text, there in kept if there)
                rows.append(f'{head},"values":[{points}]}}')
            else:
                rows.append(f'{head},"value":[{stamps[0]},"{texts[0]}"]}}')
        return rows * 2 if hostile is Hostile.DUPLICATES else rows

    def _series(self, query: str) -> list[tuple[Series, str]]:
        if query in self.custom:
            found = list(self.custom[query])
            return [(series, _head(series.labels)) for series in found]
        if "count_over_time(up" in query:
            return [(self.interval, _head({}))]
        answer = []
        for tag in _TAG.findall(query):
            # The percentile by pod and by workload carry the same tag: what they sum by tells them apart.
            name = f"{tag}:pod" if tag.endswith("/latency_p99") and "foresail_group" not in query else tag
            if tag in self.extra:
                found = list(self.extra[tag])
            else:
                found = self._cache.get(name) or self.shop.series(name)
                if not self.shop.absent:
                    self._cache[name] = found
            answer += [(series, _head({**series.labels, "foresail": tag})) for series in found]
        return answer


def _head(labels: Mapping[str, str]) -> str:
    return f'{{"metric":{json.dumps(dict(labels))}'


def _spoilt(value: float, hostile: Hostile | None) -> str:
    if hostile is Hostile.NAN:
        return "NaN"
    if hostile is Hostile.INFINITE:
        return "+Inf" if value > 12.0 else "-Inf"
    if hostile is Hostile.NEGATIVE:
        return str(-1.0 - value)
    return "many" if hostile is Hostile.TEXT else str(value)


def _silent(mock: MockPrometheus, handler: BaseHTTPRequestHandler) -> None:
    mock._ended.wait()
    handler.close_connection = True


def _drip(mock: MockPrometheus, handler: BaseHTTPRequestHandler) -> None:
    handler.send_response_only(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    with suppress(OSError):  # the client has had enough
        while not mock._ended.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()
    handler.close_connection = True


def _huge(mock: MockPrometheus, handler: BaseHTTPRequestHandler) -> None:
    with suppress(OSError):  # the client has had enough
        mock._send(handler, 200, b" " * 4_000_000)
    handler.close_connection = True


def _cut_off(mock: MockPrometheus, handler: BaseHTTPRequestHandler) -> None:
    mock._send(handler, 200, b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"na')


def _hung_up(mock: MockPrometheus, handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def _redirect(mock: MockPrometheus, handler: BaseHTTPRequestHandler) -> None:
    handler.send_response_only(302)
    handler.send_header("Location", f"{mock.url}/login")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


_BROKEN: dict[Hostile | None, Callable[[MockPrometheus, BaseHTTPRequestHandler], None]] = {
    Hostile.SILENT: _silent,
    Hostile.DRIP: _drip,
    Hostile.HUGE: _huge,
    Hostile.CUT_OFF: _cut_off,
    Hostile.HUNG_UP: _hung_up,
    Hostile.REDIRECT: _redirect,
    Hostile.HTML: lambda mock, handler: mock._send(handler, 200, b"<html>Log in</html>", "text/html"),
    Hostile.UNAVAILABLE: lambda mock, handler: mock._send(handler, 503, b"upstream connect error", "text/plain"),
}


def serve(workloads: int, pods: int) -> None:
    """In a process of its own, for benchmarks: says its address, ends with its standard input."""
    with mock_prometheus(SyntheticShop(workloads, pods, namespaces=max(1, workloads // 20))) as mock:
        sys.stdout.write(f"{mock.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


@contextmanager
def mock_prometheus(shop: SyntheticShop | None = None) -> Iterator[MockPrometheus]:
    mock = MockPrometheus(shop)
    try:
        yield mock
    finally:
        mock.close()


if __name__ == "__main__":
    serve(workloads=int(sys.argv[1]), pods=int(sys.argv[2]))
