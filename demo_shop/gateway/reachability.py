"""Whether the services behind the gateway answer, asked in the background so that a probe costs nothing."""

from __future__ import annotations

from demo_shop.frame.upstream import Upstream


class Reachable:
    """A check for `frame.ready_when` and `report_when`: asks something cheap and says what is wrong, None: nothing."""

    def __init__(self, upstream: Upstream, path: str, timeout_s: float = 0.9) -> None:
        self._upstream, self._path, self._timeout_s = upstream, path, timeout_s

    async def __call__(self) -> str | None:
        """Raises `UpstreamUnavailable` when there is no answer."""
        answer = await self._upstream.get(self._path, timeout_s=self._timeout_s)
        return None if answer.status < 500 else f"{self._upstream.role} answers {answer.status}"
