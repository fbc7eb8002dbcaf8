"""What a request asks for, read with care: numbers within bounds, texts without control characters, forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from demo_shop.frame.problems import Problem, validation_problem
from demo_shop.frame.product_ids import LARGEST_ID

MOST_PAGE: Final = 1000
MOST_QUERY_CHARACTERS: Final = 200
_MOST_FIELDS: Final = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def query_of(scope: Scope) -> Mapping[str, str]:
    """The query's parameters; of one given twice, the last."""
    raw: bytes = scope["query_string"]
    return dict(_pairs(raw.decode("latin-1"))) if raw else {}


def page_of(query: Mapping[str, str]) -> int:
    """The page asked for. Raises a 404: there is no such page."""
    text = query.get("page", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST_PAGE):
        raise Problem(404, "not-found", "There is no such page", f"page: give 1 to {MOST_PAGE}")
    return int(text)


def search_text_of(query: Mapping[str, str]) -> str:
    """What to search for, empty when nothing was written. Raises a 422."""
    text = " ".join(query.get("q", "").split())
    if len(text) > MOST_QUERY_CHARACTERS or _CONTROL.search(text):
        raise _wrong("q", f"write up to {MOST_QUERY_CHARACTERS} characters of plain text")
    return text


def product_id_of(text: str) -> int:
    """A product's number out of a path. Raises a 404."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= LARGEST_ID):
        raise Problem(404, "not-found", "There is no such product")
    return int(text)


def number_in(form: Mapping[str, str], field: str, least: int, most: int, default: str = "") -> int:
    """Raises a 422 that names the field."""
    text = form.get(field, default).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        raise _wrong(field, f"give a whole number from {least} to {most}")
    return int(text)


async def form_of(scope: Scope, receive: Receive) -> Mapping[str, str]:
    """The fields of a form. Raises a 415 for anything but a form."""
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if kind.split(b";")[0].strip().lower() != b"application/x-www-form-urlencoded":
        raise Problem(415, "not-a-form", "This is no form", "Send application/x-www-form-urlencoded.")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Problem(400, "incomplete", "The form did not arrive whole")
        body += message.get("body", b"")
        if not message.get("more_body"):
            return dict(_pairs(body.decode("latin-1")))


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _wrong("form", f"give at most {_MOST_FIELDS} fields") from None


def _wrong(field: str, message: str) -> Problem:
    return validation_problem([{"loc": (field,), "msg": message}])
