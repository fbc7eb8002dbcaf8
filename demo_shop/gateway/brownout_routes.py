"""`/-/brownout`: how the operator sets the ceiling on optional content, sees what became of it, and lifts it."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo_shop.frame.management import NOT_KEPT, body_of
from demo_shop.gateway.brownout import LONGEST_TTL_S, SHORTEST_TTL_S, BrownoutCeiling
from demo_shop.gateway.dimmer import Dimmer


class BrownoutRequest(BaseModel):
    """A ceiling to set: share of optional content, for how long, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    ceiling: float = Field(ge=0.0, le=1.0, allow_inf_nan=False)
    ttl_s: float = Field(ge=SHORTEST_TTL_S, le=LONGEST_TTL_S, allow_inf_nan=False)
    reason: str = Field(min_length=1, max_length=200)


class BrownoutState(BaseModel):
    """The ceiling now and what the dimmer makes of it. `expires_in_s` and `reason` are null without a ceiling.

    `inner` is the share that the dimmer would serve by what it measures here; `effective`, the lower of the two, is
    what it serves.
    """

    ceiling: float
    expires_in_s: float | None
    inner: float
    effective: float
    reason: str | None


def brownout_routes(ceiling: BrownoutCeiling, dimmer: Dimmer, clock: Callable[[], float]) -> list[Route]:
    """GET, PUT and DELETE /-/brownout. Whoever mounts them asks for the control token first."""

    def state(now_s: float) -> BrownoutState:
        current = ceiling.current(now_s)
        return BrownoutState(
            ceiling=ceiling.value(now_s),
            expires_in_s=None if current is None else round(current.until_s - now_s, 3),
            inner=round(dimmer.inner, 4),
            effective=round(dimmer.effective(now_s), 4),
            reason=None if current is None else current.reason,
        )

    async def brownout(request: Request) -> Response:
        if request.method == "PUT":
            asked = await body_of(request, BrownoutRequest)
            ceiling.put(asked.ceiling, asked.ttl_s, asked.reason, clock())
        elif request.method == "DELETE":
            ceiling.lift()
        dimmer.obey(clock())  # the next page, not the next look
        return JSONResponse(state(clock()).model_dump(), headers=NOT_KEPT)

    return [Route("/-/brownout", brownout, methods=["GET", "PUT", "DELETE"])]
