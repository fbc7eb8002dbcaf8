"""Budgets that keep retries and hedged calls from making an overload worse."""

from __future__ import annotations

from collections import deque


class CallBudget:
    """Extra calls as a share of the calls of the last `window_s` seconds, and never fewer than `least`.

    After the retry budgets of Finagle and of the Google SRE book (chapter "Handling Overload").
    """

    def __init__(self, share: float, window_s: float = 10.0, least: int = 3) -> None:
        self._share, self._window_s, self._least = share, window_s, least
        self._calls: deque[float] = deque()
        self._extra: deque[float] = deque()

    def note_call(self, now_s: float) -> None:
        self._calls.append(now_s)
        self._forget(now_s)

    def take(self, now_s: float) -> bool:
        """Whether one more extra call may be made now; taking it counts."""
        self._forget(now_s)
        if len(self._extra) >= max(self._least, self._share * len(self._calls)):
            return False
        self._extra.append(now_s)
        return True

    def _forget(self, now_s: float) -> None:
        for times in (self._calls, self._extra):
            while times and times[0] <= now_s - self._window_s:
                times.popleft()


class LatencyWindow:
    """The latencies of the last calls, and how long one waits before a second call is worth making."""

    def __init__(self, size: int = 200, least: int = 20) -> None:
        self._latencies_s: deque[float] = deque(maxlen=size)
        self._least = least

    def note(self, latency_s: float) -> None:
        self._latencies_s.append(latency_s)

    def quantile_s(self, quantile: float) -> float | None:
        """None while too few calls are known."""
        if len(self._latencies_s) < self._least:
            return None
        ordered = sorted(self._latencies_s)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
