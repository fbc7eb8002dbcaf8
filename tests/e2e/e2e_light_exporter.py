"""A program that says of every pod of a namespace how many requests it serves, though none serves any.

It runs as a pod. The rates stand in ConfigMap `demand` (workload: requests per second) and are shared out over the
ready pods with that label `app`; Prometheus scrapes the counters as if the pods counted them themselves. Only the
standard library, so that any image with Python runs it.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 8080
LOOK_S = 1.0
ANSWER_S = 0.01  # what every request takes
BOUNDS_S = (0.005, 0.025, 0.1, 0.5)
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_NAME = "http_server_request_duration_seconds"


class Counters:
    """Requests that each pod has served so far. From any thread."""

    def __init__(self, now_s: float) -> None:
        self._lock = threading.Lock()
        self._at_s = now_s
        self._rates_rps: dict[str, float] = {}
        self._served: dict[str, float] = {}

    def advance(self, now_s: float) -> None:
        """Counts what was served at the rates of the last look."""
        with self._lock:
            for pod, rate_rps in self._rates_rps.items():
                self._served[pod] = self._served.get(pod, 0.0) + rate_rps * (now_s - self._at_s)
            self._at_s = now_s

    def look(self, demand_rps: Mapping[str, float], ready: Iterable[tuple[str, str]], now_s: float) -> None:
        """`ready`: pods that serve, each with its workload. Demand of a workload without any goes nowhere."""
        self.advance(now_s)
        pods: dict[str, list[str]] = {}
        for pod, workload in ready:
            pods.setdefault(workload, []).append(pod)
        with self._lock:
            self._rates_rps = {
                pod: demand_rps.get(workload, 0.0) / len(names) for workload, names in pods.items() for pod in names
            }
            self._served = {pod: self._served.get(pod, 0.0) for pod in self._rates_rps}

    def text(self, namespace: str, now_s: float) -> str:
        """The pods' series in Prometheus's text format."""
        self.advance(now_s)
        with self._lock:
            served = sorted(self._served.items())
        lines = [f"# TYPE {_NAME} histogram"]
        for pod, requests in served:
            labels = f'namespace="{namespace}",pod="{pod}",route="/",method="GET",status="200"'
            for bound_s in BOUNDS_S:
                within = requests if bound_s >= ANSWER_S else 0.0
                lines.append(f'{_NAME}_bucket{{{labels},le="{bound_s:g}"}} {within:.3f}')
            lines.append(f'{_NAME}_bucket{{{labels},le="+Inf"}} {requests:.3f}')
            lines.append(f"{_NAME}_sum{{{labels}}} {requests * ANSWER_S:.5f}")
            lines.append(f"{_NAME}_count{{{labels}}} {requests:.3f}")
        return "\n".join(lines) + "\n"


def ready_pods(pods: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, label `app`) of the pods of a list that serve."""
    return [
        (pod["metadata"]["name"], pod["metadata"].get("labels", {}).get("app", ""))
        for pod in pods["items"]
        if "deletionTimestamp" not in pod["metadata"]
        and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
    ]


def demanded(config: Mapping[str, Any]) -> dict[str, float]:
    return {workload: float(rate_rps) for workload, rate_rps in (config.get("data") or {}).items()}


class _ApiServer:
    def __init__(self, environment: Mapping[str, str]) -> None:
        host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
        self.namespace = (_ACCOUNT / "namespace").read_text(encoding="utf-8")
        self._at = f"https://{host}:{port}/api/v1/namespaces/{self.namespace}"
        self._trust = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))

    def get(self, what: str) -> Any:
        token = (_ACCOUNT / "token").read_text(encoding="utf-8")
        request = urllib.request.Request(f"{self._at}/{what}", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=5.0, context=self._trust) as answer:
            return json.load(answer)


def _look_on(api: _ApiServer, counters: Counters) -> None:
    while True:
        try:
            counters.look(demanded(api.get("configmaps/demand")), ready_pods(api.get("pods")), time.monotonic())
        except (OSError, ValueError) as error:
            # The API server is away: the pods go on serving as they did.
            sys.stderr.write(f"not looked: {error}\n")
        time.sleep(LOOK_S)


def main() -> None:
    api, counters = _ApiServer(os.environ), Counters(time.monotonic())

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = counters.text(api.namespace, time.monotonic()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """A scrape every few seconds is no news."""

    threading.Thread(target=_look_on, args=(api, counters), daemon=True).start()
    ThreadingHTTPServer(("", PORT), Page).serve_forever()


if __name__ == "__main__":
    main()
