"""The service with a model from memory: what it answers, what it refuses, and what it does without its store."""

import asyncio
import json
import logging
from array import array
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.types import ASGIApp

from demo_shop.frame.frame import Frame
from demo_shop.frame.logs import Log
from demo_shop.frame.problems import StoreUnavailable
from demo_shop.recommendations.app import create_with
from demo_shop.recommendations.knowledge import Knowledge
from demo_shop.recommendations.table import NeighbourTable, Shelf
from demo_shop.settings import Settings

LOG = Log(logging.getLogger("demo_shop.test"), {})


class BooksOfTests:
    """A store whose content and health the test decides."""

    def __init__(self) -> None:
        self.stored: NeighbourTable | None = None
        self.best_sellers = [7, 8, 9]
        self.away = False
        self.tables_read = 0

    def learn(self, version: str) -> None:
        self.stored = NeighbourTable(version)
        self.stored.add(1, [30, 31], [0.5, 0.25], [4, 0])

    async def version(self) -> str | None:
        self._answer()
        return self.stored.version if self.stored else None

    async def shelf(self) -> Shelf:
        self._answer()
        return Shelf({1: "Tarn Tent"}, array("i", self.best_sellers))

    async def table(self) -> NeighbourTable:
        self._answer()
        self.tables_read += 1
        return self.stored or NeighbourTable()

    def _answer(self) -> None:
        if self.away:
            raise StoreUnavailable("PostgreSQL is away")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


def ask(books: BooksOfTests, query: str) -> Answer:
    """The answer of a process that has started and looked into its books once."""

    async def run() -> Answer:
        frame = Frame(Settings.from_environment({"SHOP_ROLE": "recommendations", "SHOP_LOG_REQUESTS": "off"}), LOG)
        app = frame.traffic(create_with(frame, books))
        async with frame.running():
            await asyncio.sleep(0)  # lets the background work take its first look
            return await get(app, query)

    return asyncio.run(run())


async def get(app: ASGIApp, query: str) -> Answer:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/recommendations",
        "raw_path": b"/recommendations",
        "query_string": query.removeprefix("?").encode(),
        "headers": [(b"host", b"recommendations")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], headers, json.loads(b"".join(message.get("body", b"") for message in sent[1:])))


def seeded() -> BooksOfTests:
    books = BooksOfTests()
    books.learn("v1")
    return books


def test_neighbours_come_first_and_best_sellers_fill_the_list() -> None:
    answer = ask(seeded(), "?product_ids=1&limit=3")

    assert answer.status == 200
    assert answer.body == {
        "items": [
            {"product_id": 30, "score": 0.5, "because": "bought together with Tarn Tent"},
            {"product_id": 31, "score": 0.25, "because": "goes with Tarn Tent"},
            {"product_id": 7, "score": 0.0, "because": "popular"},
        ],
        "model": "v1",
    }


@pytest.mark.parametrize("query", ["", "?product_ids="])
def test_without_products_best_sellers_are_shown(query: str) -> None:
    assert [item["product_id"] for item in ask(seeded(), query).body["items"]] == [7, 8, 9]


def test_before_anything_is_learned_best_sellers_are_shown() -> None:
    answer = ask(BooksOfTests(), "?product_ids=1&limit=2").body

    assert answer["model"] == "popularity"
    assert [item["because"] for item in answer["items"]] == ["popular", "popular"]


def test_fifty_products_and_a_list_of_forty_eight_are_allowed() -> None:
    fifty = ",".join(str(number) for number in range(1, 51))
    assert ask(seeded(), f"?product_ids={fifty}&limit=48").status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        pytest.param("?product_ids=" + ",".join(["1"] * 51), "query.product_ids", id="51 products"),
        pytest.param("?product_ids=1,x", "query.product_ids", id="no number"),
        pytest.param("?product_ids=1%0A", "query.product_ids", id="line end"),
        pytest.param("?product_ids=0", "query.product_ids", id="no product has the number 0"),
        pytest.param("?product_ids=4294967296", "query.product_ids", id="beyond a 32-bit number"),
        pytest.param("?product_ids=-1", "query.product_ids", id="negative"),
        pytest.param("?limit=0", "query.limit", id="empty list"),
        pytest.param("?limit=49", "query.limit", id="longer than 48"),
        pytest.param("?limit=many", "query.limit", id="limit is no number"),
    ],
)
def test_a_request_beyond_the_limits_is_told_which_field_is_wrong(query: str, field: str) -> None:
    answer = ask(seeded(), query)

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["code"] == "invalid-request"
    assert answer.body["errors"][0]["field"] == field


def test_a_process_that_knows_no_product_says_so() -> None:
    books = seeded()
    books.away = True

    answer = ask(books, "?product_ids=1")

    assert (answer.status, answer.body["code"]) == (503, "not-ready")
    assert answer.headers["retry-after"] == "1"


def looked(knowledge: Knowledge) -> None:
    asyncio.run(knowledge.look())


def model_of(knowledge: Knowledge) -> str | None:
    return knowledge.known.table.version if knowledge.known else None


def test_a_model_that_changes_is_read_once() -> None:
    books = seeded()
    knowledge = Knowledge(books, LOG)
    looked(knowledge)
    looked(knowledge)
    assert (model_of(knowledge), books.tables_read) == ("v1", 1)

    books.learn("v2")
    looked(knowledge)

    assert (model_of(knowledge), books.tables_read) == ("v2", 2)


def test_the_first_model_replaces_popularity() -> None:
    books = BooksOfTests()
    knowledge = Knowledge(books, LOG)
    looked(knowledge)
    assert model_of(knowledge) == "popularity"

    books.learn("v1")
    looked(knowledge)

    assert model_of(knowledge) == "v1"


def test_the_model_outlives_its_store() -> None:
    books = seeded()
    knowledge = Knowledge(books, LOG)
    looked(knowledge)

    books.away = True
    with pytest.raises(StoreUnavailable):
        looked(knowledge)

    assert model_of(knowledge) == "v1"
    assert asyncio.run(knowledge.why_not_ready()) is None


def test_a_process_is_ready_when_it_knows_products() -> None:
    books = seeded()
    books.best_sellers = []
    knowledge = Knowledge(books, LOG)
    looked(knowledge)
    assert asyncio.run(knowledge.why_not_ready()) == "no product is known yet"

    books.best_sellers = [7]
    looked(knowledge)

    assert asyncio.run(knowledge.why_not_ready()) is None


def test_following_goes_on_when_the_store_is_away(caplog: pytest.LogCaptureFixture) -> None:
    books = seeded()
    books.away = True
    knowledge = Knowledge(books, LOG)

    async def run() -> None:
        following = asyncio.create_task(knowledge.follow())
        await asyncio.sleep(0)
        assert not following.done()
        books.away = False
        async with asyncio.timeout(10.0):
            while knowledge.known is None:
                await asyncio.sleep(0.01)
        following.cancel()

    asyncio.run(run())
    assert model_of(knowledge) == "v1"
