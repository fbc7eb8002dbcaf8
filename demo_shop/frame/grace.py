"""A check of a dependency that all processes of a role share, and that may be gone for a moment.

When PostgreSQL moves to another member, every process finds it gone at the same time. Were they all unready then, no
request could wait for its return: callers would get errors for what is a pause of seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

ANSWER_WITHIN_S: Final = 0.9  # a check of the frame may take 1 s

Answers = Callable[[], Awaitable[None]]


class Graced:
    """Finds nothing wrong until the dependency has been gone for `grace_s`; before it first answered there is no grace.

    `answers` raises when the dependency does not answer.
    """

    def __init__(self, answers: Answers, clock: Callable[[], float], grace_s: float = 30.0) -> None:
        self._answers, self._clock, self._grace_s = answers, clock, grace_s
        self._answered_at_s: float | None = None

    async def __call__(self) -> str | None:
        """What is wrong; None: nothing, or not for long."""
        why = await self._why_not()
        now_s = self._clock()
        if why is None:
            self._answered_at_s = now_s
            return None
        if self._answered_at_s is None:
            return why
        gone_s = now_s - self._answered_at_s
        return None if gone_s < self._grace_s else f"gone for {gone_s:.0f} s: {why}"

    async def _why_not(self) -> str | None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._answers()
        except TimeoutError:
            return f"no answer within {ANSWER_WITHIN_S:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a check raises is its finding
            return f"{type(error).__name__}: {error}"
        return None
