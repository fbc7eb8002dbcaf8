import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.process_collector import ProcessCollector
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import catalogue_of
from demo_shop.frame.drain import Drain
from demo_shop.frame.health import Health
from demo_shop.frame.management import Managed, management_app, require_control_token
from demo_shop.settings import Role

CONTROL, FAULTS = "Bearer control-secret", "Bearer faults-secret"


class Answer:
    def __init__(self, messages: list[Any]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in messages[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in messages[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Process:
    """The management listener of a catalogue process whose time stands still."""

    def __init__(
        self, *, control_token: str | None = "control-secret", faults_token: str | None = "faults-secret"
    ) -> None:
        self.now_s = 1_000.0
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.fresh = Gauge("fresh", "Brought up to date before each scrape", registry=self.registry)
        self.health = Health(self._clock, self.registry)
        self.drain = Drain(self._clock, self.registry)
        self.board = FaultBoard(catalogue_of(Role.CATALOG), self._clock, self.registry)
        managed = Managed(
            registry=self.registry,
            health=self.health,
            drain=self.drain,
            faults=self.board,
            control_token=control_token,
            faults_token=faults_token,
            before_scrape=lambda: self.fresh.set(7),
            clock=self._clock,
        )
        self._app = management_app(managed, [Route("/-/brownout", _brownout, methods=["PUT"])])

    def _clock(self) -> float:
        return self.now_s

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {**(headers or {}), **({} if token is None else {"authorization": token})}
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self._app(scope, receive, send))
        return Answer(sent)


async def _brownout(request: Request) -> JSONResponse:
    return JSONResponse({"ceiling": 0.5})


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json["status"], answer.json["code"]) == (status, code)


def test_readiness_lists_its_checks() -> None:
    async def fine() -> None:
        return None

    process = Process()
    process.health.ready_when("postgres", fine)
    assert process.ask("GET", "/-/ready").status == 503

    asyncio.run(process.health.look())
    answer = process.ask("GET", "/-/ready")

    assert answer.status == 200
    assert answer.json == {
        "ready": True,
        "checks": [{"name": "postgres", "needed": True, "ok": True, "why": None, "age_s": 0.0}],
    }


def test_start_up_is_over_once_ready() -> None:
    process = Process()
    assert process.ask("GET", "/-/startup").status == 503

    asyncio.run(process.health.look())

    assert process.ask("GET", "/-/startup").status == 200


def test_a_stuck_loop_is_not_alive() -> None:
    process = Process()
    assert process.ask("GET", "/-/live").status == 200

    process.now_s += 11

    answer = process.ask("GET", "/-/live")
    assert (answer.status, answer.json["alive"]) == (503, False)


def test_probes_and_metrics_need_no_token_and_answer_head() -> None:
    process = Process(control_token=None, faults_token=None)
    asyncio.run(process.health.look())

    for path in ("/-/live", "/-/ready", "/-/startup", "/metrics"):
        assert process.ask("GET", path).status == 200
        assert process.ask("HEAD", path).status == 200


def test_metrics_are_brought_up_to_date_and_tell_of_the_process() -> None:
    answer = Process().ask("GET", "/metrics")

    lines = answer.body.decode().splitlines()
    assert answer.headers["content-type"].startswith("text/plain")
    assert "fresh 7.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
    assert 'shop_fault_active{fault="memory_leak"} 0.0' in lines
    assert "shop_draining 0.0" in lines


def test_metrics_come_as_openmetrics_where_asked() -> None:
    answer = Process().ask("GET", "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")


def test_a_drain_is_begun_watched_and_undone() -> None:
    process = Process()

    begun = process.ask("PUT", "/-/drain", {"ttl_s": 600, "reason": "memory grows"}, token=CONTROL)
    process.now_s += 10
    seen = process.ask("GET", "/-/drain", token=CONTROL)
    undone = process.ask("DELETE", "/-/drain", token=CONTROL)

    assert begun.status == seen.status == undone.status == 200
    assert seen.json == {
        "draining": True,
        "stopping": False,
        "since": 1_000.0,
        "expires_in_s": 590.0,
        "reason": "memory grows",
        "fail_readiness": False,
        "in_flight": 0,
        "open_connections": None,
        "quiet_for_s": 10.0,
        "requests_since": 0,
    }
    assert undone.json["draining"] is False


def test_the_drain_of_a_stopping_process_cannot_be_undone() -> None:
    process = Process()
    process.drain.start_stopping(process.now_s)

    assert_problem(process.ask("DELETE", "/-/drain", token=CONTROL), 409, "stopping")


def test_a_fault_is_started_watched_and_stopped() -> None:
    process = Process()

    started = process.ask(
        "PUT", "/-/faults/memory_leak", {"magnitude": 10, "ramp_s": 20, "duration_s": 60, "seed": 3}, token=FAULTS
    )
    process.now_s += 5
    seen = process.ask("GET", "/-/faults/memory_leak", token=FAULTS)
    stopped = process.ask("DELETE", "/-/faults/memory_leak", token=FAULTS)

    assert started.status == seen.status == stopped.status == 200
    assert seen.json == {
        "name": "memory_leak",
        "meaning": "MiB per minute and pod",
        "active": True,
        "level": 0.25,
        "magnitude": 10.0,
        "ramp_s": 20.0,
        "duration_s": 60.0,
        "seed": 3,
        "started_at": 1_000.0,
        "ends_at": 1_060.0,
        "stopped_at": None,
        "ended_because": None,
    }
    assert (stopped.json["active"], stopped.json["stopped_at"], stopped.json["ended_because"]) == (
        False,
        1_005.0,
        "asked",
    )


def test_all_faults_are_listed_and_stopped_together() -> None:
    process = Process()
    process.ask("PUT", "/-/faults/memory_leak", {"duration_s": 60}, token=FAULTS)

    listed = process.ask("GET", "/-/faults", token=FAULTS).json["faults"]
    stopped = process.ask("DELETE", "/-/faults", token=FAULTS).json["faults"]

    assert {fault["name"] for fault in listed} == set(catalogue_of(Role.CATALOG))
    assert [fault["name"] for fault in listed if fault["active"]] == ["memory_leak"]
    assert not any(fault["active"] for fault in stopped)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_roles_fault_is_not_found_and_those_there_are_named(method: str) -> None:
    answer = Process().ask(method, "/-/faults/payment_timeouts", {"duration_s": 60}, token=FAULTS)

    assert_problem(answer, 404, "unknown-fault")
    assert answer.json["faults"] == list(catalogue_of(Role.CATALOG))


@pytest.mark.parametrize(
    ("path", "token", "body", "field"),
    [
        pytest.param("/-/faults/error_burst", FAULTS, {}, "duration_s", id="fault-without-end"),
        pytest.param("/-/faults/error_burst", FAULTS, {"duration_s": 9, "magnitude": 2}, "magnitude", id="too-much"),
        pytest.param("/-/drain", CONTROL, {"ttl_s": 0}, "ttl_s", id="drain-without-time"),
        pytest.param("/-/drain", CONTROL, b"{not json", "body", id="no-json"),
        pytest.param("/-/drain", CONTROL, b"", "body", id="nothing"),
        pytest.param("/-/drain", CONTROL, b'{"ttl_s": NaN}', "ttl_s", id="nan"),
        pytest.param("/-/drain", CONTROL, b"\xff\xfe", "body", id="no-text"),
    ],
)
def test_a_bad_body_is_refused_by_field(path: str, token: str, body: Any, field: str) -> None:
    answer = Process().ask("PUT", path, body, token=token)

    assert_problem(answer, 422, "invalid-request")
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_a_body_that_is_too_large_is_refused() -> None:
    answer = Process().ask("PUT", "/-/drain", b" " * 20_000, token=CONTROL)

    assert_problem(answer, 413, "body-too-large")


GUARDED = [
    pytest.param("GET", "/-/drain", "control", CONTROL, id="drain"),
    pytest.param("PUT", "/-/brownout", "control", CONTROL, id="what-a-role-adds"),
    pytest.param("GET", "/-/faults", "faults", FAULTS, id="faults"),
    pytest.param("PUT", "/-/faults/memory_leak", "faults", FAULTS, id="one-fault"),
]


@pytest.mark.parametrize(("method", "path", "name", "token"), GUARDED)
def test_the_right_token_opens(method: str, path: str, name: str, token: str) -> None:
    assert Process().ask(method, path, {"duration_s": 60}, token=token).status == 200


@pytest.mark.parametrize(("method", "path", "name", "token"), GUARDED)
def test_without_a_token_of_its_own_the_door_stays_shut(method: str, path: str, name: str, token: str) -> None:
    process = Process(control_token=None, faults_token=None)

    assert_problem(process.ask(method, path, {"duration_s": 60}, token=token), 403, f"{name}-off")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="none"),
        pytest.param("Bearer wrong", id="wrong"),
        pytest.param("Bearer", id="empty"),
        pytest.param("Basic {secret}", id="another-scheme"),
        pytest.param("{secret}", id="no-scheme"),
        pytest.param("Bearer {secret}x", id="longer"),
        pytest.param("Bearer schlüssel", id="not-ascii"),
    ],
)
@pytest.mark.parametrize(("method", "path", "name", "token"), GUARDED)
def test_any_other_token_is_refused_with_a_challenge(
    method: str, path: str, name: str, token: str, given: str | None
) -> None:
    process = Process()
    sent = None if given is None else given.format(secret=token.removeprefix("Bearer "))

    answer = process.ask(method, path, {"duration_s": 60}, token=sent)

    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith(f'Bearer realm="shop {name}"')
    assert not process.board.any_active


def test_one_token_does_not_open_the_other_door() -> None:
    process = Process()

    assert process.ask("GET", "/-/drain", token=FAULTS).status == 401
    assert process.ask("GET", "/-/faults", token=CONTROL).status == 401


def test_the_scheme_is_read_in_any_case() -> None:
    assert Process().ask("GET", "/-/drain", token="bearer control-secret").status == 200


def test_an_unknown_path_is_a_problem() -> None:
    assert_problem(Process().ask("GET", "/-/nothing"), 404, "not-found")


def test_a_wrong_method_is_a_problem_that_names_the_right_ones() -> None:
    answer = Process().ask("POST", "/-/drain", token=CONTROL)

    assert_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE"}


def test_only_plain_routes_can_be_put_behind_the_token() -> None:
    with pytest.raises(TypeError, match="give a starlette"):
        require_control_token("secret")(Mount("/-/more", routes=[]))  # type: ignore[arg-type]


def test_nothing_of_the_listener_may_be_cached() -> None:
    process = Process()

    for path, token in (("/-/live", None), ("/metrics", None), ("/-/drain", CONTROL), ("/-/drain", None)):
        assert process.ask("GET", path, token=token).headers["cache-control"] == "no-store"


def test_tokens_do_not_show_in_what_is_printed() -> None:
    process = Process()
    managed = Managed(
        registry=process.registry,
        health=process.health,
        drain=process.drain,
        faults=process.board,
        control_token="control-secret",
        faults_token="faults-secret",
    )

    assert "secret" not in repr(managed)


FIELDS = ["ttl_s", "reason", "fail_readiness", "magnitude", "ramp_s", "duration_s", "seed", "else"]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.just("\ud800"),
    st.just([1]),
    st.just({}),
)
FUZZED = Process()


@given(
    target=st.sampled_from([("/-/drain", CONTROL), ("/-/faults/cpu_burn", FAULTS), ("/-/faults/error_burst", FAULTS)]),
    body=st.one_of(st.binary(max_size=30), st.dictionaries(st.sampled_from(FIELDS), VALUES), VALUES),
)
def test_whatever_the_body_is_the_answer_is_a_state_or_names_the_field(target: tuple[str, str], body: Any) -> None:
    path, token = target

    answer = FUZZED.ask("PUT", path, body, token=token)

    assert answer.status in (200, 422)
    if answer.status == 422:
        assert_problem(answer, 422, "invalid-request")
        assert answer.json["errors"][0]["field"]
