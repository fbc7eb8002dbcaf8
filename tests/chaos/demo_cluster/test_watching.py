"""What the demo shows of a moment: figures where they are known, dashes where they are not, and no guesses."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from chaos.clusters.clients import Helm, Kubectl
from chaos.clusters.cluster import ClusterFailed
from chaos.demo_cluster.places import Places, where_to_look
from chaos.demo_cluster.readings import Reading, explanation, reading
from chaos.demo_cluster.running import HEADING, row
from chaos.demo_cluster.sale import Sale
from chaos.demo_cluster.tools import Tools
from chaos.load.run import Progress

SALE = Sale(notice_s=90.0)
MARK = json.dumps({"original": 2, "written": 4, "epoch": 1, "expires_at": 9.0, "decision": "d-7"})
HPA = {
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"annotations": {"foresail.dev/floor": MARK}},
    "spec": {"minReplicas": 4},
    "status": {"desiredReplicas": 4},
}
DEPLOYMENT = {"kind": "Deployment", "metadata": {}, "status": {"readyReplicas": 3}}


def answering(answer: Any) -> Any:
    """Tools whose kubectl always says this."""

    class Answering(Kubectl):
        def __call__(self, *words: Any, given: str | None = None, limit_s: float = 120.0) -> str:
            if isinstance(answer, Exception):
                raise answer
            return json.dumps(answer)

    kubeconfig = Path("kubeconfig")
    return Tools(Answering(Path("kubectl"), kubeconfig), Helm(Path("helm"), kubeconfig, Path("home")))


@contextmanager
def prometheus(value: str) -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"data": {"result": [{"value": [0, value]}]}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def progress(elapsed_s: float = 60.0, ok: int = 100, failed: int = 0, p99_ms: float | None = 120.0) -> Progress:
    return Progress(elapsed_s, SALE.duration_s, 12.0, 1, p99_ms, ok, failed, 0)


def test_a_reading_joins_what_the_cluster_and_prometheus_say():
    with prometheus("36.5") as address:
        seen = reading(answering({"items": [HPA, DEPLOYMENT]}), address)

    assert seen == Reading(36.5, 36.5, least=4, decision="d-7", wanted=4, ready=3)
    assert seen.floor_stands


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_a_number_that_is_none_is_not_known(value: str):
    with prometheus(value) as address:
        assert reading(answering({"items": []}), address).demand_rps is None


def test_what_does_not_answer_is_not_known():
    assert reading(answering(ClusterFailed("away")), "http://127.0.0.1:9") == Reading()


def test_the_explanation_is_that_of_the_decision_that_raised_the_floor():
    other = {"id": "d-8", "at": "2", "workload": "shop/shop-gateway", "explanation": "nothing to do"}
    raised = {"id": "d-7", "at": "1", "workload": "shop/shop-gateway", "explanation": "“sale” is coming"}
    tools = answering({"status": {"decisions": [other, raised]}})

    assert explanation(tools, "d-7") == "“sale” is coming"
    assert explanation(tools, "d-9") is None
    assert explanation(tools, None) == "nothing to do"


def test_a_row_stands_below_its_headings():
    line = row(SALE, progress(), None, Reading(11.0, 36.0, 4, "d-7", 4, 3))

    assert line.split() == ["1:00", "sale", "in", "30", "s", "12", "11", "36", "4*", "4", "3", "120", "ms", "0.0", "%"]
    assert len(line) == len(HEADING)


def test_what_is_not_known_is_a_dash_in_the_row():
    assert row(SALE, progress(p99_ms=None, ok=0), None, Reading()).split()[6:] == ["–"] * 7


def test_failures_are_those_since_the_row_before():
    line = row(SALE, progress(ok=150, failed=50), progress(ok=100, failed=0), Reading())

    assert line.endswith("50.0 %")


def test_where_to_look_names_every_place_and_how_to_stop():
    places = Places("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")

    said = "\n".join(where_to_look(places, Path("/k/config"), Path("/p/kubectl"), "make cluster-down"))

    for wanted in ("KUBECONFIG=/k/config", "describe rp shop", "127.0.0.1:1/", "127.0.0.1:3/metrics", "cluster-down"):
        assert wanted in said
