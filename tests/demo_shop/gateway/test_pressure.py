"""The gateway's traffic engineering put together."""

from __future__ import annotations

import asyncio
import time

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo_shop.gateway.admission import Shed
from demo_shop.gateway.dimmer import Part
from demo_shop.gateway.pressure import Pressure
from demo_shop.gateway.priorities import Priority
from demo_shop.settings import SettingInvalid, Settings

ENVIRONMENT = {"SHOP_ROLE": "gateway", "SHOP_SESSION_KEY": "k" * 32}


class Shop:
    """One page behind all layers."""

    def __init__(self, **environment: str) -> None:
        self.registry = CollectorRegistry()
        self.pressure = Pressure(Settings.from_environment({**ENVIRONMENT, **environment}), self.registry, lambda: 10.0)
        app = FastAPI()
        self.pressure.install(app)
        app.get("/product/{product_id}")(self.page)
        self.app = app

    async def page(self, product_id: int) -> dict[str, int]:
        return {"id": product_id}

    def client(self, peer: str = "198.51.100.1") -> TestClient:
        return TestClient(self.app, client=(peer, 4711), headers={"User-Agent": "Mozilla/5.0"})

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def test_a_page_passes_all_layers() -> None:
    shop = Shop(SHOP_TRUSTED_PROXIES="10.0.0.0/8")

    answer = shop.client().get("/product/7")

    assert answer.json() == {"id": 7}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert shop.pressure.admission.in_flight == 0


def test_a_refusal_carries_the_security_headers_too() -> None:
    shop = Shop(SHOP_RATE_LIMIT_RPS="1", SHOP_RATE_LIMIT_BURST="1")
    client = shop.client()

    answers = [client.get("/product/7") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["x-content-type-options"] == "nosniff"
    assert shop.metric("shop_rate_limited_total") == 1.0
    assert shop.metric("shop_rate_limit_clients") == 1.0


def test_a_refused_client_takes_no_slot_from_others() -> None:
    shop = Shop(SHOP_RATE_LIMIT_RPS="1", SHOP_RATE_LIMIT_BURST="1", SHOP_MOST_IN_FLIGHT="1")
    client = shop.client()
    client.get("/product/7")
    assert shop.pressure.admission.try_enter(Priority.CHECKOUT)

    # With the only slot taken, an admitted page would have waited and got a 503.
    assert client.get("/product/7").status_code == 429


def test_behind_a_trusted_proxy_every_client_has_its_own_bucket() -> None:
    shop = Shop(SHOP_RATE_LIMIT_RPS="1", SHOP_RATE_LIMIT_BURST="1", SHOP_TRUSTED_PROXIES="10.0.0.0/8")
    proxy = shop.client("10.0.0.1")

    asked = [proxy.get("/product/7", headers={"X-Forwarded-For": who}) for who in ("1.1.1.1", "2.2.2.2", "1.1.1.1")]

    assert [answer.status_code for answer in asked] == [200, 200, 429]


def test_without_a_trusted_proxy_nobody_gets_a_new_bucket_by_saying_so() -> None:
    shop = Shop(SHOP_RATE_LIMIT_RPS="1", SHOP_RATE_LIMIT_BURST="1")
    client = shop.client()

    asked = [client.get("/product/7", headers={"X-Forwarded-For": who}) for who in ("1.1.1.1", "2.2.2.2")]

    assert [answer.status_code for answer in asked] == [200, 429]


def test_a_rate_limit_of_zero_is_none() -> None:
    client = Shop(SHOP_RATE_LIMIT_RPS="0").client()

    assert {client.get("/product/7").status_code for _ in range(300)} == {200}


def test_a_setting_that_cannot_be_used_stops_the_start() -> None:
    with pytest.raises(SettingInvalid, match="SHOP_TRUSTED_PROXIES"):
        Shop(SHOP_TRUSTED_PROXIES="everybody")


def test_a_visit_that_is_too_much_is_sent_away_with_the_security_headers() -> None:
    shop = Shop(SHOP_MOST_IN_FLIGHT="1")
    assert shop.pressure.admission.try_enter(Priority.CHECKOUT)
    for _ in range(shop.pressure.admission.settings.most_queued):
        shop.pressure.admission.wait(Priority.BROWSE, 10.0, lambda _: None)

    answer = shop.client().get("/product/7")

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_metrics_say_what_is_going_on() -> None:
    shop = Shop()
    admission, dimmer = shop.pressure.admission, shop.pressure.dimmer
    for _ in range(16):
        admission.try_enter(Priority.BOT)
    ticket = admission.wait(Priority.BOT, 10.0, lambda _: None)
    admission.wait(Priority.BOT, 10.0, lambda _: None)
    assert not isinstance(ticket, Shed)
    admission.give_up(ticket, Shed.CLIENT_GONE)
    shop.pressure.ceiling.put(0.25, 60.0, "sale", now_s=10.0)
    dimmer.count_degraded(Part.IMAGES)

    assert shop.metric("shop_admission_in_flight") == 16.0
    assert shop.metric("shop_admission_limit") == 64.0
    assert shop.metric("shop_admission_queued", **{"class": "bot"}) == 1.0
    assert shop.metric("shop_admission_queued", **{"class": "checkout"}) == 0.0
    assert shop.metric("shop_shed_total", **{"class": "bot", "reason": "client_gone"}) == 1.0
    assert shop.metric("shop_shed_total", **{"class": "checkout", "reason": "evicted"}) == 0.0
    assert shop.metric("shop_dimmer_level") == 0.25
    assert shop.metric("shop_dimmer_inner") == 1.0
    assert shop.metric("shop_brownout_ceiling") == 0.25
    assert shop.metric("shop_degraded_responses_total", part="images") == 1.0
    assert shop.metric("shop_degraded_responses_total", part="dynamic_pricing") == 0.0


def test_the_operators_ceiling_reaches_the_pages() -> None:
    shop = Shop()
    management = TestClient(Starlette(routes=shop.pressure.management_routes()))

    management.put("/-/brownout", json={"ceiling": 0.0, "ttl_s": 60, "reason": "sale"})

    assert shop.pressure.dimmer.effective(10.0) == 0.0


def test_an_event_loop_that_is_held_up_dims() -> None:
    async def told() -> float:
        pressure = Pressure(Settings.from_environment(ENVIRONMENT), CollectorRegistry())
        looking = asyncio.create_task(pressure.run())
        async with asyncio.timeout(10.0):
            while pressure.dimmer.level == 1.0:
                await asyncio.sleep(0.01)
                time.sleep(0.2)  # a handler that computes
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        return pressure.dimmer.level

    assert asyncio.run(told()) < 1.0
