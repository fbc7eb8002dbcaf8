import asyncio
import logging
import socket
import time

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from demo_shop.frame.drain import Drain, DrainRequest, Stopping, closing
from demo_shop.frame.logs import Log
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.outer_layer import OuterLayer

START_S = 1_000.0


def drain_of(registry: CollectorRegistry | None = None) -> Drain:
    return Drain(lambda: START_S, registry)


def test_a_drain_ends_by_itself() -> None:
    drain = drain_of()
    drain.start(DrainRequest(ttl_s=600, reason="memory grows"), START_S)

    assert drain.is_on(START_S)
    assert drain.is_on(START_S + 599)
    assert not drain.is_on(START_S + 600)
    assert not drain.state(START_S + 600).draining


def test_the_state_tells_since_when_and_for_how_long() -> None:
    drain = drain_of()
    drain.start(DrainRequest(ttl_s=600, reason="memory grows"), START_S)

    state = drain.state(START_S + 60)

    assert (state.draining, state.since, state.expires_in_s, state.reason) == (True, START_S, 540, "memory grows")


def test_asking_again_renews_the_time_and_keeps_the_beginning() -> None:
    drain = drain_of()
    drain.start(DrainRequest(ttl_s=60), START_S)

    again = drain.start(DrainRequest(ttl_s=60), START_S + 50)

    assert (again.since, again.expires_in_s) == (START_S, 60)


def test_asking_after_the_end_is_a_new_drain() -> None:
    drain = drain_of()
    drain.start(DrainRequest(ttl_s=60), START_S)

    assert drain.start(DrainRequest(ttl_s=60), START_S + 61).since == START_S + 61


def test_a_drain_is_undone_as_often_as_one_likes() -> None:
    drain = drain_of()
    drain.start(DrainRequest(ttl_s=60), START_S)

    assert not drain.stop(START_S + 1).draining
    assert not drain.stop(START_S + 2).draining
    assert not drain.is_on(START_S + 3)


def test_readiness_stays_as_it_is_unless_asked_for() -> None:
    drain = drain_of()
    drain.start(DrainRequest(ttl_s=60, reason="bad pod"), START_S)
    assert drain.why_not_ready(START_S) is None

    drain.start(DrainRequest(ttl_s=60, reason="bad pod", fail_readiness=True), START_S)

    assert drain.why_not_ready(START_S) == "draining: bad pod"
    assert drain.why_not_ready(START_S + 60) is None


def test_a_process_that_stops_drains_for_good() -> None:
    drain = drain_of()
    drain.start_stopping(START_S)

    assert drain.is_on(START_S + 100_000)
    assert drain.state(START_S).stopping
    assert drain.state(START_S).expires_in_s is None
    assert drain.why_not_ready(START_S) is not None
    with pytest.raises(Stopping):
        drain.stop(START_S)
    drain.start(DrainRequest(ttl_s=1), START_S)
    assert drain.is_on(START_S + 2)


def test_the_state_tells_what_is_still_going_on() -> None:
    drain = drain_of()
    drain.request_began()
    drain.start(DrainRequest(ttl_s=60), START_S + 1)
    drain.request_began()
    busy = drain.state(START_S + 2)
    drain.request_ended(START_S + 3)
    drain.request_ended(START_S + 4)
    quiet = drain.state(START_S + 9)

    assert (busy.in_flight, busy.quiet_for_s, busy.requests_since) == (2, 0, 1)
    assert (quiet.in_flight, quiet.quiet_for_s, quiet.requests_since) == (0, 5, 1)


def test_a_process_that_never_worked_is_quiet_since_its_start() -> None:
    assert drain_of().state(START_S + 30).quiet_for_s == 30


def test_open_connections_are_unknown_until_somebody_counts_them() -> None:
    drain = drain_of()
    assert drain.state(START_S).open_connections is None

    drain.count_connections_with(lambda: 3)

    assert drain.state(START_S).open_connections == 3


def test_the_metric_follows_the_drain() -> None:
    registry = CollectorRegistry()
    now_s = [START_S]
    drain = Drain(lambda: now_s[0], registry)
    assert registry.get_sample_value("shop_draining") == 0.0

    drain.start(DrainRequest(ttl_s=60), START_S)
    assert registry.get_sample_value("shop_draining") == 1.0

    now_s[0] += 60
    assert registry.get_sample_value("shop_draining") == 0.0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "ttl_s", id="for-ever"),
        pytest.param({"ttl_s": 0.5}, "ttl_s", id="too-short"),
        pytest.param({"ttl_s": 3_601}, "ttl_s", id="too-long"),
        pytest.param({"ttl_s": 60, "reason": "x" * 201}, "reason", id="a-novel"),
        pytest.param({"ttl_s": 60, "fail_readiness": "yes"}, "fail_readiness", id="text-for-a-truth"),
        pytest.param({"ttl_s": 60, "ttl": 60}, "ttl", id="unknown-field"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_field(body: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        DrainRequest.model_validate(body)


def test_an_answer_that_closes_has_no_other_wish_for_its_connection() -> None:
    headers = [(b"content-type", b"text/plain"), (b"Connection", b"keep-alive")]

    assert closing(headers) == [(b"content-type", b"text/plain"), (b"connection", b"close")]


async def _hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The head of the answer to one request on a connection that stays open."""
    writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len("hello"))
    return head.lower()


def test_a_kept_connection_is_closed_by_the_next_answer_and_no_request_is_lost() -> None:
    async def scenario() -> tuple[bytes, bytes, bytes, int, list[bytes]]:
        drain = Drain(time.time)
        log = Log(logging.getLogger("demo_shop.test"), {})
        app = OuterLayer(Starlette(routes=[Route("/", _hello)]), Metrics(), log, drain, time.time, log_requests=False)
        server = uvicorn.Server(uvicorn.Config(app, http="httptools", lifespan="off", log_config=None))
        drain.count_connections_with(lambda: len(server.server_state.connections))
        listener = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        port = listener.getsockname()[1]
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            before = await _ask(reader, writer)
            drain.start(DrainRequest(ttl_s=60), time.time())
            during = await _ask(reader, writer)
            after = await reader.read()  # ends only when the server closes
            writer.close()
            while drain.state(time.time()).open_connections:
                await asyncio.sleep(0.01)
            left = drain.state(time.time()).in_flight
            drain.stop(time.time())
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            undone = [await _ask(reader, writer) for _ in range(2)]  # kept open again
            writer.close()
            server.should_exit = True
            await serving
        return before, during, after, left, undone

    before, during, after, left, undone = asyncio.run(scenario())

    assert b"200 ok" in before and b"connection: close" not in before
    assert b"200 ok" in during and b"connection: close" in during
    assert (after, left) == (b"", 0)
    assert all(b"200 ok" in head and b"connection: close" not in head for head in undone)
