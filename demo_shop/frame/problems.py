"""Errors as answers: application/problem+json (RFC 9457) with a code that programs can tell apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from demo_shop.frame import context


class Problem(Exception):
    """An answer that is an error. `code` is stable and meant for programs, `detail` says what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{status} {code}: {detail or title}")
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.headers, self.extra = dict(headers or {}), extra


class ProblemInFramework(HTTPException):
    """A problem raised while the framework reads a request: it lets only its own kind of exception through."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, problem.detail, problem.headers)
        self.problem = problem


class StoreUnavailable(Exception):
    """A store did not answer in time, or not at all."""


class UpstreamUnavailable(Exception):
    """A service that we depend on did not answer in time, or not at all."""

    def __init__(self, role: str, why: str) -> None:
        super().__init__(f"{role}: {why}")
        self.role, self.why = role, why


def problem_response(problem: Problem) -> Response:
    body: dict[str, Any] = {
        "type": f"urn:shop:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
    }
    if problem.detail:
        body["detail"] = problem.detail
    if (request_id := context.request_id.get()) is not None:
        body["request_id"] = request_id
    body.update(problem.extra)
    return Response(
        json.dumps(body, ensure_ascii=False, allow_nan=False),
        problem.status,
        headers={**problem.headers, "Cache-Control": "no-store"},
        media_type="application/problem+json",
    )


async def send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers from inside an ASGI layer."""
    await problem_response(problem)(scope, receive, send)


def answer_problems(app: Starlette) -> None:
    """Turns what a handler raises into problem+json; the outer layer logs what nobody foresaw."""
    app.add_exception_handler(Exception, _of_bug)
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(StoreUnavailable, _of_store)
    app.add_exception_handler(UpstreamUnavailable, _of_upstream)


def validation_problem(errors: list[dict[str, Any]]) -> Problem:
    """Says which field of the request is wrong and what it should be."""
    told = [
        {"field": ".".join(str(part) for part in error.get("loc", ())) or "body", "message": str(error.get("msg", ""))}
        for error in errors
    ]
    first = told[0] if told else {"field": "body", "message": "not understood"}
    return Problem(
        422, "invalid-request", "The request is not valid", f"{first['field']}: {first['message']}", errors=told
    )


def internal_error() -> Problem:
    return Problem(500, "internal-error", "Something went wrong here", "It is logged under the request id.")


async def _of_bug(_: Request, error: Exception) -> Response:
    return problem_response(internal_error())


async def _of_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _of_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(validation_problem(list(error.errors())))


async def _of_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, ProblemInFramework):
        return problem_response(error.problem)
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "-").replace("'", "")
    detail = str(error.detail) if error.detail and error.detail != phrase else None
    return problem_response(Problem(error.status_code, code, phrase, detail, headers=error.headers))


async def _of_store(_: Request, error: Exception) -> Response:
    return problem_response(
        Problem(503, "store-unavailable", "A store does not answer", str(error), headers={"Retry-After": "1"})
    )


async def _of_upstream(_: Request, error: Exception) -> Response:
    return problem_response(
        Problem(503, "upstream-unavailable", "A service does not answer", str(error), headers={"Retry-After": "1"})
    )
