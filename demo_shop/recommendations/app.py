"""The recommendations service."""

import json
import re
from typing import Annotated

from fastapi import FastAPI, Query
from prometheus_client import Counter, Gauge
from pydantic import AfterValidator, BaseModel
from starlette.responses import Response

from demo_shop.frame.frame import Frame
from demo_shop.frame.problems import Problem
from demo_shop.frame.product_ids import parse_product_ids
from demo_shop.recommendations.books import PostgresBooks
from demo_shop.recommendations.knowledge import Books, Knowledge
from demo_shop.recommendations.table import recommend

MOST_GIVEN = 50
LONGEST_LIST = 48

_GIVEN_PATTERN = rf"^([0-9]{{1,10}}(,[0-9]{{1,10}}){{0,{MOST_GIVEN - 1}}})?$"


def _given(text: str) -> str:
    if not re.fullmatch(_GIVEN_PATTERN, text):
        raise ValueError(f"up to {MOST_GIVEN} product numbers with commas between, like 3,17")
    return text


_Given = Annotated[
    str,
    Query(
        description=f"Up to {MOST_GIVEN} product numbers with commas between; none: best sellers",
        json_schema_extra={"pattern": _GIVEN_PATTERN},
    ),
    AfterValidator(_given),
]
_Limit = Annotated[int, Query(ge=1, le=LONGEST_LIST)]


class Item(BaseModel):
    """A score of 0 is a best seller that fills the list."""

    product_id: int
    score: float
    because: str


class Recommendations(BaseModel):
    """`model` is the version that answered, "popularity" before anything is learned."""

    items: list[Item]
    model: str


def create(frame: Frame) -> FastAPI:
    """The app and what keeps its model up to date."""
    return create_with(frame, PostgresBooks(frame.replica()))


def create_with(frame: Frame, books: Books) -> FastAPI:
    """The same with the model from wherever."""
    knowledge = Knowledge(books, frame.log)
    frame.background("model watch", knowledge.follow)
    frame.ready_when("products", knowledge.why_not_ready)
    items = Counter("shop_recommended_items_total", "Items shown", ["source"], registry=frame.metrics.registry)
    learned, popular = items.labels("model"), items.labels("popularity")
    size = Gauge("shop_recommendation_model_products", "Products with neighbours", registry=frame.metrics.registry)
    size.set_function(lambda: float(len(knowledge.known.table)) if knowledge.known is not None else 0.0)
    app = FastAPI(title="Recommendations", version="1", openapi_url="/openapi.json", docs_url=None, redoc_url=None)

    @app.get("/recommendations", response_model=Recommendations)
    async def recommendations(product_ids: _Given = "", limit: _Limit = 8) -> Response:
        known = knowledge.known
        if known is None:
            raise Problem(
                503, "not-ready", "No product is known yet", "Try again shortly", headers={"Retry-After": "1"}
            )
        given = parse_product_ids(product_ids, "product_ids") if product_ids else ()
        chosen = recommend(known.table, known.shelf, given, limit)
        from_model = sum(item.score > 0.0 for item in chosen)
        learned.inc(from_model)
        popular.inc(len(chosen) - from_model)
        body = {
            "items": [
                {"product_id": item.product_id, "score": round(item.score, 6), "because": item.because}
                for item in chosen
            ],
            "model": known.table.version,
        }
        return Response(json.dumps(body, ensure_ascii=False, separators=(",", ":")), media_type="application/json")

    return app
