"""Waiting for what a real cluster does in its own time: a condition is polled, never slept for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: For what takes seconds, on a machine that has much else to do.
LIMIT_S = 120.0


def wait_until(
    what: str,
    look: Callable[[], T],
    limit_s: float = LIMIT_S,
    until: Callable[[T], object] = bool,
    pause_s: float = 0.5,
) -> T:
    """The first look that is as `until` wants it: by default one that is true. A look that fails counts as not yet.

    Raises `AssertionError` after `limit_s`, with what was seen last.
    """
    deadline_s = time.monotonic() + limit_s
    while True:
        seen: object
        try:
            found = look()
            if until(found):
                return found
            seen = found
        except Exception as error:  # noqa: BLE001 (a cluster fails in every way while it gets ready)
            seen = error
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{what}: not within {limit_s:g} s; last seen: {seen!r}")
        time.sleep(pause_s)


def stays(
    what: str, look: Callable[[], T], for_s: float, until: Callable[[T], object] = bool, pause_s: float = 0.5
) -> None:
    """Looks for `for_s`; every look must be as `until` wants it. Raises `AssertionError` with the one that was not."""
    deadline_s = time.monotonic() + for_s
    while time.monotonic() < deadline_s:
        found = look()
        assert until(found), f"{what}: no longer so; seen: {found!r}"
        time.sleep(pause_s)
