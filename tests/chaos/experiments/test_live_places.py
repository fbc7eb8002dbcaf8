"""Where things of an installed shop are reached, and its books, against a kubectl that answers from a dictionary."""

from __future__ import annotations

import base64
import json

import pytest

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.live import books
from chaos.experiments.live.books import ShopBooks
from chaos.experiments.live.shop_places import ShopPlaces
from chaos.experiments.live.ways import Ways
from chaos.experiments.run_folder import RunFolder
from chaos.load.books import BookedOrder, Books, BooksUnavailable


def pod(name, address, phase="Running"):
    return {"metadata": {"name": name}, "status": {"podIP": address, "phase": phase}}


OBJECTS = {
    "service/shop-gateway": {"spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 8080}]}},
    "secret/shop-secrets": {"data": {"database-password": base64.b64encode(b"open sesame").decode()}},
    "--selector=demo-shop/database=shop-postgres": {"items": [pod("pg-0", "10.0.0.1"), pod("pg-1", None)]},
    "--selector=app.kubernetes.io/component=operator": {
        "items": [pod("a", "10.0.0.8"), pod("b", "10.0.0.9", "Failed")]
    },
    "--field-selector=metadata.name=shop-cart-1": {"items": [pod("shop-cart-1", "10.0.0.5")]},
    "--field-selector=metadata.name=gone": {"items": []},
}


def kubectl(*words):
    return json.dumps(next(OBJECTS[word] for word in words if word in OBJECTS))


class Forwarder:
    def __init__(self, port):
        self.port = port
        self.closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def opened():
    """Addresses that were asked for, with their forwarders."""
    return {}


@pytest.fixture
def ways(opened):
    def forward(address):
        assert address not in opened, "opened twice"
        opened[address] = Forwarder(40_000 + len(opened))
        return opened[address]

    with Ways(forward) as found:
        yield found


PLACES = ShopPlaces(kubectl)


def test_the_shop_is_found_by_what_the_cluster_says():
    assert PLACES.storefront() == "10.96.0.7:8080"
    assert PLACES.secret("database-password") == "open sesame"
    assert PLACES.pod_address("shop-cart-1") == "10.0.0.5"
    assert PLACES.pod_address("gone") is None


def test_only_pods_that_live_and_have_an_address_are_asked():
    assert PLACES.database_members() == ["10.0.0.1"]
    assert PLACES.operators() == ["10.0.0.8:8080"]


def test_a_way_is_opened_once_and_closed_at_the_end(opened):
    def forward(address):
        opened[address] = Forwarder(40_000 + len(opened))
        return opened[address]

    with Ways(forward) as ways:
        assert ways.port("10.0.0.1:80") == ways.port("10.0.0.1:80") == 40_000
        assert ways.url("10.0.0.2:80") == "http://127.0.0.1:40001"
        assert not any(one.closed for one in opened.values())

    assert all(one.closed for one in opened.values())


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path)
    folder.ledger.write_text("", encoding="utf-8")
    return folder


def shop_books(ways, seconds=0.0):
    clock = iter(range(1000))
    return ShopBooks(PLACES, ways, limit_s=seconds, now_s=lambda: float(next(clock)), sleep=lambda _: None)


CONFIRMED = BookedOrder(
    "1", "key-1", "somebody", "confirmed", 100, 100, 1.0, {}, payment="captured", paid_cents=100, captures=1
)


def test_the_books_are_read_from_all_members_and_tell_how_often_each_key_is_confirmed(monkeypatch, ways, run):
    asked = []
    monkeypatch.setattr(books, "read_books", lambda address: asked.append(address) or Books(orders=(CONFIRMED,)))

    kept = shop_books(ways).settle(run)

    assert kept is not None and kept.commits == {"key-1": 1}
    assert kept.reconciliation.confirmed == 1
    assert "host=127.0.0.1" in asked[0] and "port=40000" in asked[0] and "open sesame" in asked[0]


def test_a_database_that_fails_over_is_asked_again(monkeypatch, ways, run):
    answers = iter([BooksUnavailable("no primary"), ClusterFailed("no way"), Books()])

    def read(address):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(books, "read_books", read)

    assert shop_books(ways, seconds=60.0).settle(run) is not None


def test_books_that_cannot_be_read_are_unknown_not_empty(monkeypatch, ways, run):
    def read(address):
        raise BooksUnavailable("no primary")

    monkeypatch.setattr(books, "read_books", read)

    assert shop_books(ways).settle(run) is None
