"""Whether the services behind the gateway answer, asked in the background so that a probe costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from demo_shop.frame.problems import UpstreamUnavailable
from demo_shop.frame.upstream import Upstream

#: A service may be away so long, as when it restarts, before this process says that it cannot do without it.
GRACE_S: Final = 5.0


class Reachable:
    """A check for `frame.ready_when` and `report_when`: asks something cheap and says what is wrong, None: nothing."""

    def __init__(self, upstream: Upstream, path: str, now_s: Callable[[], float], grace_s: float = GRACE_S) -> None:
        self._upstream, self._path, self._now_s, self._grace_s = upstream, path, now_s, grace_s
        self._answered_at_s = float("-inf")

    async def __call__(self) -> str | None:
        why = await self._why_not()
        if why is None:
            self._answered_at_s = self._now_s()
        elif self._now_s() - self._answered_at_s <= self._grace_s:
            return None
        return why

    async def _why_not(self) -> str | None:
        try:
            answer = await self._upstream.get(self._path, timeout_s=0.8)
        except UpstreamUnavailable as error:
            return str(error)
        return None if answer.status < 500 else f"{self._upstream.role} answers {answer.status}"
