"""The services behind the gateway, kept in memory: small, true to their contracts, and away when a test says so."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.testclient import TestClient

from demo_shop.frame.frame import Frame
from demo_shop.frame.logs import Log
from demo_shop.frame.problems import UpstreamUnavailable
from demo_shop.frame.upstream import Answer
from demo_shop.gateway.app import create
from demo_shop.gateway.dimmer import Dimmer
from demo_shop.settings import Settings

CATEGORIES = {"coffee-and-tea": "Coffee and tea", "toys": "Toys"}


@dataclass
class FakeShop:
    """What the services know. `away`: roles that do not answer."""

    names: dict[int, str] = field(default_factory=dict)
    prices: dict[int, int] = field(default_factory=dict)
    stock: dict[int, int] = field(default_factory=dict)
    carts: dict[str, dict[int, int]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    lost_answers: int = 0  # so many orders are carried out, but their answer gets lost
    new_state: str = "confirmed"
    calls: list[tuple[str, str, str]] = field(default_factory=list)

    def product(self, product_id: int) -> dict[str, Any]:
        slug = "toys" if product_id % 2 else "coffee-and-tea"
        return {
            "id": product_id,
            "sku": f"FS-{product_id:05}",
            "name": self.names[product_id],
            "brand": "Harbour & Sons",
            "description": f"All about number {product_id}.",
            "category": {"slug": slug, "name": CATEGORIES[slug]},
            "base_price_cents": 1000,
        }

    def calls_of(self, role: str) -> Counter[str]:
        return Counter(f"{method} {path}" for called, method, path in self.calls if called == role)


class FakeUpstream:
    def __init__(self, role: str, shop: FakeShop) -> None:
        self.role, self._shop = role, shop

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        return await self.call("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Answer:
        return await self.call("PUT", path, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self.call("DELETE", path, **options)

    async def close(self) -> None:
        pass

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> Answer:
        self._shop.calls.append((self.role, method, path))
        if self.role in self._shop.away:
            raise UpstreamUnavailable(self.role, "nobody there")
        return getattr(self, f"_{self.role}")(method, path, params or {}, json, headers or {})

    def _catalog(self, method: str, path: str, params: Mapping[str, Any], json: Any, headers: Any) -> Answer:
        shop = self._shop
        if path == "/categories":
            return _fine({"items": [{"slug": slug, "name": name, "count": 3} for slug, name in CATEGORIES.items()]})
        if path == "/products/by-ids":
            wanted = [int(one) for one in params["ids"].split(",")]
            return _fine({"items": [shop.product(one) for one in wanted if one in shop.names]})
        if found := re.fullmatch(r"/products/(\d+)", path):
            product_id = int(found[1])
            return _fine(shop.product(product_id)) if product_id in shop.names else _problem(404, "unknown-product")
        ids = sorted(shop.names)
        if path == "/search":
            ids = [one for one in ids if params["q"].lower() in shop.names[one].lower()]
        elif slug := params.get("category"):
            if slug not in CATEGORIES:
                return _problem(404, "unknown-category")
            ids = [one for one in ids if shop.product(one)["category"]["slug"] == slug]
        page, size = params["page"], params["page_size"]
        shown = ids[(page - 1) * size : page * size]
        return _fine(
            {"items": [shop.product(one) for one in shown], "total": len(ids), "page": page, "page_size": size}
        )

    def _pricing(self, method: str, path: str, params: Mapping[str, Any], json: Any, headers: Any) -> Answer:
        items = []
        for one in map(int, params["ids"].split(",")):
            effect = self._shop.prices.get(one, 1000) - 1000
            because = [{"factor": "demand", "effect_cents": effect, "because": "Many people want it"}] if effect else []
            items.append(
                {
                    "product_id": one,
                    "price_cents": 1000 + effect,
                    "base_price_cents": 1000,
                    "as_of": "2026-03-01T12:00:00+00:00",
                    "explanation": because,
                }
            )
        return _fine({"items": items})

    def _inventory(self, method: str, path: str, params: Mapping[str, Any], json: Any, headers: Any) -> Answer:
        ids = map(int, params["ids"].split(","))
        return _fine({"items": [{"product_id": one, "available": self._shop.stock.get(one, 50)} for one in ids]})

    def _recommendations(self, method: str, path: str, params: Mapping[str, Any], json: Any, headers: Any) -> Answer:
        asked = {int(one) for one in params["product_ids"].split(",")}
        others = [one for one in sorted(self._shop.names, reverse=True) if one not in asked][: params["limit"]]
        items = [{"product_id": one, "score": 0.5, "because": "Often bought together"} for one in others]
        return _fine({"items": items, "model": "m1"})

    def _cart(self, method: str, path: str, params: Mapping[str, Any], json: Any, headers: Any) -> Answer:
        _, _, cart_id, *rest = path.split("/")
        lines = self._shop.carts.setdefault(cart_id, {})
        if method == "DELETE":
            lines.clear()
            return Answer(204, None, {})
        if method == "POST":
            if len(lines) >= 50 and json["product_id"] not in lines:
                return _problem(409, "cart-full", detail="At most 50 products.")
            lines[json["product_id"]] = lines.get(json["product_id"], 0) + json["quantity"]
        if method == "PUT":
            lines[int(rest[1])] = json["quantity"]
            if json["quantity"] == 0:
                del lines[int(rest[1])]
        told = [{"product_id": one, "quantity": quantity} for one, quantity in lines.items()]
        return _fine({"cart_id": cart_id, "lines": told})

    def _checkout(self, method: str, path: str, params: Mapping[str, Any], json: Any, headers: Any) -> Answer:
        if method == "GET":
            order = self._shop.orders.get(path.rpartition("/")[2])
            return _problem(404, "unknown-order") if order is None else _fine(order)
        key = headers["Idempotency-Key"]
        if key in self._shop.by_key:
            answer = self._again(key, json)
        else:
            answer = self._first(json)
            self._shop.by_key[key] = (json, answer)
        if self._shop.lost_answers:
            self._shop.lost_answers -= 1
            raise UpstreamUnavailable("checkout", "the answer got lost")
        return answer

    def _again(self, key: str, wish: Any) -> Answer:
        told, answer = self._shop.by_key[key]
        if told != wish:
            return _problem(422, "idempotency-key-reused")
        return Answer(200, answer.json, {}) if answer.status == 201 else answer

    def _first(self, wish: Any) -> Answer:
        shop = self._shop
        if unknown := [one["product_id"] for one in wish["lines"] if one["product_id"] not in shop.names]:
            return _problem(422, "unknown-product", product_ids=unknown)
        total = sum(line["quantity"] * shop.prices.get(line["product_id"], 1000) for line in wish["lines"])
        if wish["expected_total_cents"] is not None and total > wish["expected_total_cents"]:
            return _problem(409, "price-changed", total_cents=total)
        short = [one["product_id"] for one in wish["lines"] if shop.stock.get(one["product_id"], 50) < one["quantity"]]
        if short:
            return _problem(409, "out-of-stock", product_ids=short)
        if wish["payment_token"] == "tok_declined":
            return _problem(402, "payment-declined")
        order_id = str(uuid.UUID(int=len(shop.orders) + 1))
        shop.orders[order_id] = {
            "id": order_id,
            "state": shop.new_state,
            "reason": None,
            "lines": [{**one, "unit_price_cents": shop.prices.get(one["product_id"], 1000)} for one in wish["lines"]],
            "total_cents": total,
            "degraded": False,
            "created_at": "2026-03-01T12:00:00+00:00",
        }
        return Answer(201, shop.orders[order_id], {})


def _fine(body: Any) -> Answer:
    return Answer(200, body, {})


def _problem(status: int, code: str, **extra: Any) -> Answer:
    return Answer(status, {"status": status, "code": code, "title": code, **extra}, {})


class FakeFrame(Frame):
    """A frame whose upstreams are the fake shop, and whose clock a test may turn."""

    def __init__(self, shop: FakeShop, **environment: str) -> None:
        settings = Settings.from_environment(
            {
                "SHOP_ROLE": "gateway",
                "SHOP_SESSION_KEY": "k" * 32,
                "SHOP_RATE_LIMIT_RPS": "0",
                "SHOP_LOG_REQUESTS": "off",
            }
            | environment
        )
        super().__init__(settings, Log(logging.getLogger("demo_shop.tests"), {}))
        self._shop = shop
        self.ahead_s = 0.0
        self.clock = lambda: time.time() + self.ahead_s

    def upstream(self, role: str) -> Any:
        return FakeUpstream(role, self._shop)


@pytest.fixture
def fake_shop() -> FakeShop:
    """Six products for 10.00 each."""
    return FakeShop(names={one: f"Thing number {one}" for one in range(1, 7)})


@pytest.fixture
def frame(fake_shop: FakeShop) -> FakeFrame:
    return FakeFrame(fake_shop)


@pytest.fixture
def gateway(frame: FakeFrame) -> Any:
    return frame.traffic(create(frame))


@pytest.fixture
def gateway_with(fake_shop: FakeShop) -> Callable[..., Any]:
    """Makes a gateway with these environment variables."""

    def make(**environment: str) -> Any:
        frame = FakeFrame(fake_shop, **environment)
        return frame.traffic(create(frame))

    return make


@pytest.fixture
def dimmer(monkeypatch: pytest.MonkeyPatch) -> Dimmer:
    """The dimmer of the gateway that is made after it."""
    dimmer = Dimmer()
    monkeypatch.setattr("demo_shop.gateway.pressure.Dimmer", lambda *_: dimmer)
    return dimmer


@pytest.fixture
def browser(gateway: Any) -> Iterator[TestClient]:
    """A visitor with a browser: keeps cookies, follows redirects."""
    with TestClient(gateway, base_url="http://shop", headers={"User-Agent": "Mozilla/5.0"}) as client:
        yield client


@pytest.fixture
def another_browser(gateway: Any, browser: TestClient) -> Iterator[TestClient]:
    """Another visitor of the same gateway, on the same event loop."""
    client = TestClient(gateway, base_url="http://shop", headers={"User-Agent": "Mozilla/5.0"})
    client.portal = browser.portal
    yield client
    client.close()
