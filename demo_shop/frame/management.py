"""The management listener: health, metrics, drain, faults, what a role adds; docs/shop-contracts.md is its contract."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo_shop.faults.board import FaultBoard, MagnitudeTooGreat, UnknownFault
from demo_shop.faults.fault import FaultRequest, FaultState
from demo_shop.frame.drain import Drain, DrainRequest, Stopping
from demo_shop.frame.health import Health
from demo_shop.frame.problems import Problem, answer_problems, validation_problem
from demo_shop.frame.tokens import Door, TokenLayer

MOST_BODY_BYTES = 16 * 1024
NOT_KEPT = {"Cache-Control": "no-store"}

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Managed:
    """What the management listener of one process shows and steers. `clock` is Unix time."""

    registry: CollectorRegistry
    health: Health
    drain: Drain
    faults: FaultBoard
    control_token: str | None = field(repr=False)
    faults_token: str | None = field(repr=False)
    before_scrape: Callable[[], None] | None = None  # brings gauges up to date
    clock: Callable[[], float] = time.time


def management_app(managed: Managed, extra: Sequence[Route] = ()) -> Starlette:
    """The listener's application. Every route in `extra` is put behind the control token."""
    control = require_control_token(managed.control_token)
    faults = [Middleware(TokenLayer, Door("faults", "SHOP_FAULTS_TOKEN", managed.faults_token))]
    health, drain, board = _Probes(managed), _DrainRoutes(managed), _FaultRoutes(managed)
    app = Starlette(
        routes=[
            Route("/-/live", health.live),
            Route("/-/ready", health.ready),
            Route("/-/startup", health.startup),
            Route("/metrics", _metrics(managed)),
            control(Route("/-/drain", drain.answer, methods=["GET", "PUT", "DELETE"])),
            Route("/-/faults", board.all, methods=["GET", "DELETE"], middleware=faults),
            Route("/-/faults/{name}", board.one, methods=["GET", "PUT", "DELETE"], middleware=faults),
            *(control(route) for route in extra),
        ]
    )
    app.router.redirect_slashes = False
    answer_problems(app)
    return app


def require_control_token(token: str | None) -> Callable[[Route], Route]:
    """Puts a route behind the control token: 403 while there is none, 401 when the request brings another.

    Raises `TypeError` for anything but a plain `starlette.routing.Route`: nothing else is guarded for sure.
    """
    guard = Middleware(TokenLayer, Door("control", "SHOP_CONTROL_TOKEN", token))

    def guarded(route: Route) -> Route:
        if type(route) is not Route:
            raise TypeError(f"{route!r} cannot be put behind the control token: give a starlette.routing.Route")
        methods = sorted(route.methods) if route.methods else None
        return Route(route.path, route.endpoint, methods=methods, name=route.name, middleware=[guard])

    return guarded


async def body_of(request: Request, model: type[Body]) -> Body:
    """The request's body, checked. Raises `Problem` 413 or 422 that names the field."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MOST_BODY_BYTES:
            raise Problem(413, "body-too-large", "The body is too large", f"at most {MOST_BODY_BYTES} bytes")
    try:
        return model.model_validate_json(bytes(raw))
    except ValidationError as error:
        raise validation_problem([dict(e) for e in error.errors()]) from None


class _Probes:
    def __init__(self, managed: Managed) -> None:
        self._health, self._clock = managed.health, managed.clock

    async def live(self, _: Request) -> Response:
        liveness = self._health.liveness(self._clock())
        return _json(asdict(liveness), 200 if liveness.alive else 503)

    async def ready(self, _: Request) -> Response:
        readiness = self._health.readiness(self._clock())
        return _json(asdict(readiness), 200 if readiness.ready else 503)

    async def startup(self, _: Request) -> Response:
        started = self._health.started()
        readiness = self._health.readiness(self._clock())
        return _json({"started": started, "checks": asdict(readiness)["checks"]}, 200 if started else 503)


class _DrainRoutes:
    def __init__(self, managed: Managed) -> None:
        self._drain, self._clock = managed.drain, managed.clock

    async def answer(self, request: Request) -> Response:
        if request.method == "PUT":
            asked = await body_of(request, DrainRequest)
            return _json(asdict(self._drain.start(asked, self._clock())))
        if request.method == "DELETE":
            try:
                return _json(asdict(self._drain.stop(self._clock())))
            except Stopping as error:
                raise Problem(409, "stopping", "The process is being stopped", str(error)) from None
        return _json(asdict(self._drain.state(self._clock())))


class _FaultRoutes:
    def __init__(self, managed: Managed) -> None:
        self._board, self._clock = managed.faults, managed.clock

    async def all(self, request: Request) -> Response:
        now_s = self._clock()
        states = self._board.stop_all(now_s) if request.method == "DELETE" else self._board.states(now_s)
        return _json({"faults": [asdict(state) for state in states]})

    async def one(self, request: Request) -> Response:
        try:
            return _json(asdict(await self._do(request, request.path_params["name"])))
        except UnknownFault as error:
            raise Problem(404, "unknown-fault", "No such fault here", str(error), faults=error.known) from None
        except MagnitudeTooGreat as error:
            raise validation_problem([{"loc": ("magnitude",), "msg": str(error)}]) from None

    async def _do(self, request: Request, name: str) -> FaultState:
        if request.method == "PUT":
            self._board.state(name, self._clock())  # a wrong name is told before a wrong body
            asked = await body_of(request, FaultRequest)
            return self._board.start(name, asked, self._clock())
        if request.method == "DELETE":
            return self._board.stop(name, self._clock())
        return self._board.state(name, self._clock())


def _metrics(managed: Managed) -> Callable[[Request], Any]:
    async def metrics(request: Request) -> Response:
        if managed.before_scrape is not None:
            managed.before_scrape()
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(managed.registry), headers={**NOT_KEPT, "Content-Type": media_type})

    return metrics


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status, headers=NOT_KEPT)
