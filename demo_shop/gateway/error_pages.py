"""Errors as pages for people: whatever answers problem+json outside `/api` is told in plain words instead."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo_shop.frame.logs import Log
from demo_shop.frame.problems import Problem, send_problem
from demo_shop.gateway.markup import Page, Renderer
from demo_shop.gateway.visitors import Shown, Visitors

_PROBLEM: Final = b"application/problem+json"
_REPLACED: Final = frozenset({b"content-type", b"content-length"})
_MOST_KEPT: Final = 64
_FOR_PROGRAMS: Final = ("/api", "/openapi.json")


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    text: str = ""
    detail_helps: bool = False  # what the service says in detail helps a shopper


_OTHERWISE: Final = _Words("That did not work", "Please go on from the front page.")
_OVERLOADED: Final = _Words("The shop is very busy", "Your cart is kept.")
_BY_STATUS: Final = {
    403: _Words(
        "That form was not from this visit",
        "It may have been open for very long. Nothing was changed; please open the page again.",
    ),
    404: _Words("We cannot find that", "It may be sold out for good, or the address has a slip in it."),
    405: _Words("That is not how this page works", "Please go on from the front page."),
    409: _Words("That did not work", detail_helps=True),
    415: _Words("We did not understand that", "Please use the forms of the shop."),
    422: _Words("Something in it is not right", detail_helps=True),
    429: _Words("You are very quick", "Please wait a moment before you go on."),
    500: _Words("Something went wrong here", "It is our fault, not yours, and it is in our logs."),
    503: _Words("A part of the shop does not answer", "Your cart is kept."),
}


class Mishaps:
    """Whatever nobody foresaw becomes a 500 `Problem`, logged with its traceback; closest to the routes."""

    def __init__(self, app: ASGIApp, log: Log) -> None:
        self._app, self._log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:
            if started:
                raise  # half an answer is out: the server must break the connection
            self._log.error("a request failed unexpectedly", path=scope["path"], exc_info=True)
            mishap = Problem(500, "internal-error", "Something went wrong here", "It is logged under the request id.")
            await send_problem(mishap, scope, receive, send)


class ErrorPages:
    """Outside everything that may refuse a request."""

    def __init__(self, app: ASGIApp, renderer: Renderer, visitors: Visitors) -> None:
        self._app, self._renderer, self._visitors = app, renderer, visitors
        self._kept: OrderedDict[tuple[str, str], Page] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_FOR_PROGRAMS):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Translator(self, scope, send).send)

    async def tell(self, start: Message, problem: dict[str, Any], scope: Scope, send: Send) -> None:
        headers = [(name, value) for name, value in start["headers"] if name.lower() not in _REPLACED]
        retry_after = next((value.decode() for name, value in headers if name.lower() == b"retry-after"), None)
        page = self._page(start["status"], problem, retry_after)
        await self._visitors.answer(Shown(page, start["status"], tuple(headers)), self._visitors.of(scope), scope, send)

    def _page(self, status: int, problem: Mapping[str, Any], retry_after_s: str | None) -> Page:
        overloaded = problem.get("code") == "overloaded"
        words = _OVERLOADED if overloaded else _BY_STATUS.get(status, _OTHERWISE)
        detail = str(problem.get("detail", "")) if words.detail_helps else ""
        text = " ".join(part for part in (words.text, detail, _wait(retry_after_s)) if part)
        key = (words.title, text)
        if (page := self._kept.get(key)) is not None:
            return page
        links = [("To the front page", "/"), ("To your cart", "/cart")]
        page = self._renderer.page("refused.html", title=words.title, text=text, names=(), links=links)
        self._kept[key] = page
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return page


def _wait(retry_after_s: str | None) -> str:
    if retry_after_s is None or not retry_after_s.isdigit():
        return ""
    return "Try again in a second." if retry_after_s in ("0", "1") else f"Try again in {retry_after_s} seconds."


class _Translator:
    """Holds a problem back until its body is there, then sends the page; lets everything else through."""

    __slots__ = ("_body", "_pages", "_scope", "_send", "_start")

    def __init__(self, pages: ErrorPages, scope: Scope, send: Send) -> None:
        self._pages, self._scope, self._send = pages, scope, send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400 and _is_problem(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                problem = json.loads(self._body) if self._body else {}
                await self._pages.tell(self._start, problem, self._scope, self._send)


def _is_problem(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(_PROBLEM) for name, value in message["headers"])
