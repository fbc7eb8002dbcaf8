"""Sends what is due when it is due, whatever became of what was sent before: an open loop.

Only the process of `python -m chaos.load` imports this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event
from gevent.pool import Group

from chaos.load.orders import Clock


class Dispatcher:
    """One greenlet per arrival, begun when the arrival is due, at most `most_in_flight` at a time.

    An arrival that finds so many in flight is skipped and `skip` is told: a queue in the client would close the loop
    and hide how badly the shop serves.
    """

    def __init__(
        self,
        due_s: Sequence[float],
        perform: Callable[[int, float], None],
        skip: Callable[[int, float], None],
        clock: Clock,
        most_in_flight: int,
    ) -> None:
        self._due_s = due_s
        self._perform = perform
        self._skip = skip
        self._clock = clock
        self._most_in_flight = most_in_flight
        self._stopped = Event()
        self._flying = Group()
        self.dispatched = 0
        self.skipped = 0
        self.crashed: BaseException | None = None

    @property
    def in_flight(self) -> int:
        return len(self._flying)

    def run(self) -> None:
        """Returns when everything was sent or `stop` was called; what is in flight goes on."""
        for index, due_s in enumerate(self._due_s):
            ahead_s = due_s - self._clock.now_s()
            if ahead_s > 0.0:
                self._stopped.wait(ahead_s)
            else:
                gevent.sleep(0)  # behind: answers must be taken in all the same
            if self._stopped.is_set():
                return
            if self.in_flight >= self._most_in_flight:
                self.skipped += 1
                self._skip(index, due_s)
            else:
                self.dispatched += 1
                self._flying.start(self._greenlet(index, due_s))

    def stop(self) -> None:
        """Nothing more is sent."""
        self._stopped.set()

    def give_up(self) -> int:
        """Ends what is still in flight and says how many that were."""
        left = self.in_flight
        self._flying.kill()
        return left

    def _greenlet(self, index: int, due_s: float) -> gevent.Greenlet:
        greenlet = gevent.Greenlet(self._perform, index, due_s)
        greenlet.link_exception(self._remember)
        return greenlet

    def _remember(self, greenlet: gevent.Greenlet) -> None:
        self.crashed = self.crashed or greenlet.exception
        self.stop()
