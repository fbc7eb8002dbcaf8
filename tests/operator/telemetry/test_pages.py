"""What a replica serves over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from foresail.telemetry.health import Check, Verdict
from foresail.telemetry.server import Pages, TelemetryServer


class Answers:
    """What the pages are made of, changeable by a test."""

    def __init__(self) -> None:
        self.alive = True
        self.asked: list[tuple[str | None, int]] = []

    def health(self) -> Verdict:
        return Verdict((Check("last_tick", self.alive, "3 s ago"),))

    def decisions(self, workload: str | None, most: int) -> list[dict[str, Any]]:
        self.asked.append((workload, most))
        return [{"id": "a"}]


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def served(answers: Answers) -> Iterator[TelemetryServer]:
    registry = CollectorRegistry()
    Counter("foresail_things", "Things.", registry=registry).inc(3)
    pages = Pages(registry, answers.health, answers.health, lambda: {"zone": "a"}, answers.decisions)
    server = TelemetryServer(pages, port=0, host="127.0.0.1")
    server.start()
    yield server
    server.stop()


def get(server: TelemetryServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5.0) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_are_served_as_text(served: TelemetryServer) -> None:
    status, text = get(served, "/metrics")

    assert status == 200 and "foresail_things_total 3.0" in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_verdict_is_200_or_503_with_its_checks(served: TelemetryServer, answers: Answers, path: str) -> None:
    assert get(served, path)[0] == 200

    answers.alive = False
    status, text = get(served, path)

    assert status == 503
    assert json.loads(text) == {"ok": False, "checks": {"last_tick": {"ok": False, "detail": "3 s ago"}}}


def test_probes_are_served_as_they_are(served: TelemetryServer) -> None:
    assert json.loads(get(served, "/probes")[1]) == {"zone": "a"}


def test_decisions_can_be_asked_of_one_workload(served: TelemetryServer, answers: Answers) -> None:
    assert json.loads(get(served, "/decisions?workload=shop/web&limit=5")[1]) == [{"id": "a"}]

    get(served, "/decisions")

    assert answers.asked == [("shop/web", 5), (None, 100)]


@pytest.mark.parametrize("limit", ["0", "501", "many"])
def test_a_limit_out_of_range_is_told(served: TelemetryServer, limit: str) -> None:
    status, text = get(served, f"/decisions?limit={limit}")

    assert status == 400 and json.loads(text)["error"].startswith(f"limit is '{limit}'")


def test_a_port_in_use_is_an_error_at_the_start(served: TelemetryServer) -> None:
    second = TelemetryServer(served._pages, port=served.port, host="127.0.0.1")

    with pytest.raises(OSError, match="address already in use"):
        second.start()
