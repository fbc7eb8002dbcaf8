"""How often one client may ask."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from demo_shop.gateway.rate_limit import RateLimiter, RateLimitSettings, client_key
from demo_shop.gateway.rate_limit_layer import RateLimitLayer
from demo_shop.settings import SettingInvalid

TWO_A_SECOND = RateLimitSettings(rate_rps=2.0, burst=3.0, most_clients=2)


def test_a_client_may_ask_a_burst_at_once_and_then_waits_for_a_token() -> None:
    limiter = RateLimiter(TWO_A_SECOND)

    # Three tokens are there; the fourth comes after 1 / 2 s.
    assert [limiter.wait_s("a", 10.0) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(0.5)]
    assert limiter.refused == 1


def test_a_refused_request_takes_no_token() -> None:
    limiter = RateLimiter(TWO_A_SECOND)
    for _ in range(10):
        limiter.wait_s("a", 10.0)

    assert limiter.wait_s("a", 10.5) == 0.0
    assert limiter.wait_s("a", 10.5) == pytest.approx(0.5)


def test_for_long_a_client_gets_its_rate() -> None:
    limiter = RateLimiter(TWO_A_SECOND)

    # Asks 10 times a second for 20 s: 3 of the burst and 2 × 20, less the token that is not whole yet.
    served = sum(limiter.wait_s("a", 100.0 + number / 10.0) == 0.0 for number in range(200))

    assert served in (42, 43)


def test_a_bucket_never_holds_more_than_the_burst() -> None:
    limiter = RateLimiter(TWO_A_SECOND)
    limiter.wait_s("a", 0.0)

    assert [limiter.wait_s("a", 1e6) == 0.0 for _ in range(4)] == [True, True, True, False]


def test_one_client_does_not_use_up_anothers_tokens() -> None:
    limiter = RateLimiter(TWO_A_SECOND)
    for _ in range(9):
        limiter.wait_s("a", 0.0)

    assert limiter.wait_s("b", 0.0) == 0.0


def test_remembers_only_so_many_clients_and_forgets_whoever_asked_least_recently() -> None:
    limiter = RateLimiter(TWO_A_SECOND)
    for _ in range(4):
        limiter.wait_s("a", 0.0)
    limiter.wait_s("b", 0.0)
    assert limiter.wait_s("a", 0.0) > 0.0  # being refused counts as asking, else asking on would reset the bucket
    limiter.wait_s("c", 0.0)

    assert len(limiter) == 2
    assert limiter.wait_s("a", 0.0) > 0.0
    assert [limiter.wait_s("b", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_rate_of_zero_limits_nothing_and_remembers_nobody() -> None:
    limiter = RateLimiter(RateLimitSettings(rate_rps=0.0))

    assert {limiter.wait_s("a", 0.0) for _ in range(1000)} == {0.0}
    assert len(limiter) == 0


def test_a_burst_below_one_would_refuse_everybody_and_is_not_taken() -> None:
    with pytest.raises(SettingInvalid, match="SHOP_RATE_LIMIT_BURST"):
        RateLimiter(RateLimitSettings(rate_rps=5.0, burst=0.5))


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no:address", "no:address"),
    ],
)
def test_a_household_is_one_client(address: str, key: str) -> None:
    assert client_key(address) == key


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("page")(scope, receive, send)


def test_a_client_that_asks_too_often_gets_a_429_that_says_when_to_come_back() -> None:
    # One token in 4 s.
    layer = RateLimitLayer(_page, RateLimiter(RateLimitSettings(rate_rps=0.25, burst=1.0)), clock=lambda: 50.0)
    client = TestClient(layer)

    answers = [client.get("/"), client.get("/")]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["retry-after"] == "4"
    assert answers[1].headers["content-type"] == "application/problem+json"
    assert answers[1].json()["code"] == "too-many-requests"
    assert TestClient(layer, client=("192.0.2.9", 1)).get("/").status_code == 200


def test_clients_without_an_address_share_one_bucket() -> None:
    limiter = RateLimiter(TWO_A_SECOND)
    layer = RateLimitLayer(_page, limiter, clock=lambda: 0.0)
    statuses: list[int] = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def ask_four_times() -> None:
        for _ in range(4):
            scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}
            await layer(scope, receive, send)

    asyncio.run(ask_four_times())

    assert statuses == [200, 200, 200, 429]


def test_a_trusted_proxy_that_speaks_for_itself_is_not_limited() -> None:
    limiter = RateLimiter(RateLimitSettings(rate_rps=0.25, burst=1.0))
    layer = RateLimitLayer(_page, limiter, trusts="192.0.2.1".__eq__, clock=lambda: 0.0)
    ours, others = TestClient(layer, client=("192.0.2.1", 1)), TestClient(layer, client=("192.0.2.2", 1))
    assert [ours.get("/").status_code for _ in range(3)] == [200, 200, 200]
    assert [others.get("/").status_code for _ in range(2)] == [200, 429]
