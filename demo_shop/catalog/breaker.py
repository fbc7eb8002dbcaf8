"""When to stop asking a store that does not answer."""

from __future__ import annotations


class Breaker:
    """Closed: everybody asks. After a failure open for `open_for_s`; then one asks, and decides for all."""

    def __init__(self, open_for_s: float = 1.0) -> None:
        self._open_for_s = open_for_s
        self._failed_at_s: float | None = None
        self._probing = False

    @property
    def closed(self) -> bool:
        return self._failed_at_s is None

    def lets_through(self, now_s: float) -> bool:
        """Whether to ask now. Whoever is let through must tell `succeeded`, `failed` or `gave_up`."""
        if self._failed_at_s is None:
            return True
        if self._probing or now_s - self._failed_at_s < self._open_for_s:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._failed_at_s, self._probing = None, False

    def failed(self, now_s: float) -> None:
        self._failed_at_s, self._probing = now_s, False

    def gave_up(self) -> None:
        """The one that asked was cancelled: nothing was learned, the next may ask."""
        self._probing = False
