"""The API's document and a page that shows it to people; no script from elsewhere."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope

from demo_shop.frame.problems import Problem, problem_response
from demo_shop.gateway.api_document import document_with, operations
from demo_shop.gateway.markup import Page, Renderer
from demo_shop.gateway.visitors import Shown, Visitor, Visitors


class Reference:
    """`/openapi.json` and `/docs`."""

    def __init__(self, app: FastAPI, renderer: Renderer, visitors: Visitors) -> None:
        self._app, self._renderer, self._visitors = app, renderer, visitors
        self._page: Page | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/openapi.json", self._document, methods=["GET"]),
            Route("/docs", self._visitors.endpoint(self._show), methods=["GET"]),
        ]

    async def _document(self, request: Request) -> Response:
        return JSONResponse(document_with(self._app), headers={"Cache-Control": "public, max-age=3600"})

    async def _show(self, visitor: Visitor, scope: Scope, receive: Receive) -> Shown:
        if self._page is None:
            document = document_with(self._app)
            self._page = self._renderer.page("reference.html", info=document["info"], groups=operations(document))
        return Shown(self._page)


class AllowedMethods:
    """Answers 405 with every method that the path has, not only those of the first route that knows it."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def answer(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        allowed: set[str] = set()
        for route in self._app.router.routes:
            match, _ = route.matches(request.scope)
            if match is not Match.NONE:
                allowed |= set(getattr(route, "methods", None) or ())
        told = ", ".join(sorted(allowed))
        return problem_response(
            Problem(
                405, "method-not-allowed", "The path does not know this method", f"Use {told}.", headers={"Allow": told}
            )
        )
