"""The OpenAPI document: every answer that may come is in it, errors as problem+json."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from demo_shop.gateway.api_models import ProblemBody

PROBLEM_JSON: Final = "application/problem+json"
PLAIN_TAGS: Final = ("products", "carts", "orders")
_DESCRIPTION: Final = (
    "Browse, fill a cart, order. Money is in cents. Errors are problem+json: `code` is for programs, `detail` says "
    "what to do. Nothing here is charged or sent."
)
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "string"}}}
#: What any request may get, whatever it asks for.
_ANYWHERE: Final = {
    400: "The request cannot be read",
    413: "The body is longer than 64 KiB",
    422: "invalid-request: `errors` says what is wrong with which field",
    429: "You ask too often; Retry-After says when to come back",
    431: "The headers are longer than 16 KiB",
    500: "A mistake of ours, logged under the request id",
    503: "Overloaded, or a service behind does not answer; Retry-After says when to come back",
}


def answers(codes: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Error answers for FastAPI's `responses`: these and those that may come anywhere."""
    told: dict[int | str, dict[str, Any]] = {}
    for status, description in sorted({**_ANYWHERE, **codes}.items()):
        told[status] = {
            "description": description,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in (429, 503):
            told[status]["headers"] = _RETRY_AFTER
    return told


def document_with(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="Foresail Outfitters", version="1.0.0", description=_DESCRIPTION, routes=app.routes, tags=_tags()
        )
        schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = schema.pop("$defs", {})
        document.setdefault("components", {}).setdefault("schemas", {}).update({**parts, "Problem": schema})
        _describe_replayed_orders(document)
        _link_operations(document)
        app.openapi_schema = document
    return app.openapi_schema


def operations(document: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The document by tag, as the reference page shows it."""
    groups: dict[str, list[dict[str, Any]]] = {tag: [] for tag in PLAIN_TAGS}
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            groups[one["tags"][0]].append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": one["summary"],
                    "description": one.get("description", ""),
                    "parameters": [(p["name"], _parameter(p)) for p in one.get("parameters", ())],
                    "answers": [
                        (f"{status} {HTTPStatus(int(status)).phrase}", answer["description"])
                        for status, answer in sorted(one["responses"].items())
                        if int(status) not in _ANYWHERE or int(status) in (422, 503)
                    ],
                }
            )
    return list(groups.items())


def _parameter(parameter: Mapping[str, Any]) -> str:
    needed = "needed" if parameter.get("required") else "optional"
    return f"{parameter.get('description', '')} ({needed})".strip()


def _describe_replayed_orders(document: dict[str, Any]) -> None:
    """FastAPI knows one good status of an operation; placing an order has two, with one body."""
    placed = document["paths"]["/api/v1/orders"]["post"]["responses"]
    placed["201"]["description"] = "The order was placed now"
    placed["200"] = {"description": "This key had placed the order before", "content": placed["201"]["content"]}


def _link_operations(document: dict[str, Any]) -> None:
    """Which answers name what other operations ask for, so that programs can walk from one to the next."""
    paths = document["paths"]
    opened = paths["/api/v1/carts"]["post"]["responses"]["201"]
    opened["links"] = {
        "get_cart": {"operationId": "get_cart", "parameters": {"cart_id": "$response.body#/cart_id"}},
        "place_order": {"operationId": "place_order", "requestBody": {"cart_id": "$response.body#/cart_id"}},
    }
    for status in ("200", "201"):
        placed = paths["/api/v1/orders"]["post"]["responses"][status]
        placed["links"] = {"get_order": {"operationId": "get_order", "parameters": {"order_id": "$response.body#/id"}}}


def _tags() -> list[dict[str, Any]]:
    return [
        {"name": "products", "description": "What there is"},
        {"name": "carts", "description": "What somebody wants"},
        {"name": "orders", "description": "What somebody bought"},
    ]
