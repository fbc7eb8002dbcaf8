"""Leaving an optional service alone for a moment after it failed again and again: waiting for it slows every page."""

from __future__ import annotations

from typing import Final

FAILURES_IN_A_ROW: Final = 3  # one slow answer is no reason to show base prices to everybody
REST_S: Final = 2.0


class Rest:
    """While it rests one caller per `rest_s` is let through, to find out whether it is back."""

    def __init__(self, failures_in_a_row: int = FAILURES_IN_A_ROW, rest_s: float = REST_S) -> None:
        self._most, self._rest_s = failures_in_a_row, rest_s
        self._failures = 0
        self._asked_at_s = float("-inf")

    def lets_through(self, now_s: float) -> bool:
        """Whether to ask now; whoever was let through tells `succeeded` or `failed`."""
        if self._failures >= self._most and now_s - self._asked_at_s < self._rest_s:
            return False
        self._asked_at_s = now_s
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, now_s: float) -> None:
        self._failures += 1
        self._asked_at_s = now_s
