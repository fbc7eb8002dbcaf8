"""Who the client is when proxies stand in between."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from demo_shop.gateway.forwarded import ForwardedLayer, TrustedProxies
from demo_shop.settings import SettingInvalid

PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        pytest.param("198.51.100.1", ["203.0.113.9"], "198.51.100.1", id="a stranger is not believed"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="one proxy"),
        pytest.param("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9", id="two proxies"),
        pytest.param("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9", id="what the client wrote itself"),
        pytest.param("10.0.0.1", ["1.1.1.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9", id="two headers"),
        pytest.param("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", id="only proxies: the first of them"),
        pytest.param("10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1", id="nonsense is not looked behind"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="an empty header"),
        pytest.param("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9", id="with a port"),
        pytest.param("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1", id="an address in brackets"),
        pytest.param("fd00::1", ["2001:DB8::1"], "2001:db8::1", id="the next internet protocol"),
        pytest.param("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="a proxy seen through a dual-stack socket"),
    ],
)
def test_only_what_trusted_proxies_say_counts(peer: str, forwarded_for: list[str], client: str) -> None:
    assert PROXIES.client(peer, forwarded_for) == client


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(SettingInvalid, match="SHOP_TRUSTED_PROXIES: 'ten-slash-eight'"):
        TrustedProxies(["10.0.0.0/8", "ten-slash-eight"])


def test_without_trusted_proxies_nobody_is_believed() -> None:
    nobody = TrustedProxies([])

    assert not nobody
    assert nobody.client("10.0.0.1", ["203.0.113.9"]) == "10.0.0.1"


async def _who(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    assert request.client is not None
    await PlainTextResponse(f"{request.client.host} by {scope['scheme']}")(scope, receive, send)


@pytest.mark.parametrize(
    ("peer", "protocol", "seen"),
    [
        ("10.0.0.1", "https", "203.0.113.9 by https"),
        ("10.0.0.1", "gopher", "203.0.113.9 by http"),
        ("198.51.100.1", "https", "198.51.100.1 by http"),
    ],
)
def test_the_app_sees_the_client_and_how_it_came(peer: str, protocol: str, seen: str) -> None:
    client = TestClient(ForwardedLayer(_who, PROXIES), client=(peer, 4711))

    answer = client.get("/", headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": protocol})

    assert answer.text == seen
