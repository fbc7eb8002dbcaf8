"""Signals that end an experiment: they become an exception at once, and wait while things are taken back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked the process to end. Not an `Exception`: no retry and no broad handler may swallow it."""


class Interrupts:
    """What signals do now. The main thread only."""

    def __init__(self) -> None:
        self._held = False
        self._came: int | None = None

    @contextmanager
    def raising(self) -> Iterator[Interrupts]:
        """Inside, a signal raises `Interrupted`; what signals did before comes back afterwards."""
        before = {number: signal.signal(number, self._arrived) for number in ENDING}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Inside, signals wait; one that came raises `Interrupted` at the end, when what had to be done is done."""
        outer, self._held = self._held, True
        try:
            yield
        finally:
            self._held = outer
        if self._came is not None and not outer:
            came, self._came = self._came, None
            raise Interrupted(signal.Signals(came).name)

    def _arrived(self, number: int, _: FrameType | None) -> None:
        if self._held:
            self._came = number
            return
        raise Interrupted(signal.Signals(number).name)
