"""How many requests are worked on at once, and who waits, goes first or is sent away when there are more.

Pure: the caller brings the time, and the callback that wakes a waiter.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from demo_shop.gateway.priorities import Priority


class Shed(StrEnum):
    """Why a request was sent away."""

    QUEUE_FULL = "queue_full"  # and nobody of a lower class in it
    EVICTED = "evicted"  # by a newcomer of a higher class
    WAITED_TOO_LONG = "waited_too_long"
    STANDING_QUEUE = "standing_queue"  # waited little, but in a queue that no longer empties
    CLIENT_GONE = "client_gone"


def _by_class(bot: float, browse: float, cart: float, checkout: float) -> Mapping[Priority, float]:
    return MappingProxyType(
        {Priority.BOT: bot, Priority.BROWSE: browse, Priority.CART: cart, Priority.CHECKOUT: checkout}
    )


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """Slots, queue and how the number of slots follows what the process bears."""

    first_limit: int = 64
    least_limit: int = 8
    most_limit: int = 256
    most_queued: int = 512
    #: Share of the slots that a class and all below it may hold together. What is left is the higher classes' alone.
    shares: Mapping[Priority, float] = field(default_factory=lambda: _by_class(0.25, 0.75, 0.9, 1.0))
    #: Seconds a request may wait for a slot. A checkout may sit out a switchover of the database.
    most_wait_s: Mapping[Priority, float] = field(default_factory=lambda: _by_class(0.1, 1.0, 2.0, 10.0))
    lag_s: float = 0.05  # of the event loop, above which there is too much going on
    slow_s: float = 1.0  # a page that took longer stood in somebody's queue
    slow_share: float = 0.1  # of the pages that may be slow
    least_pages: int = 10  # fewer say nothing about that
    increase: int = 2  # slots more, per look, while all are in use and nothing is slow
    kept_share: float = 0.9  # of the slots, when there is too much going on
    least_kept_share: float = 0.7  # the more the event loop lags, the fewer are kept, but no fewer than this
    rest_s: float = 0.5  # between two decreases: the last one must have shown first

    @staticmethod
    def starting_with(first_limit: int) -> AdmissionSettings:
        """Between an eighth and four times as many slots as `first_limit`, at least 1."""
        first = max(1, first_limit)
        return AdmissionSettings(first_limit=first, least_limit=max(1, first // 8), most_limit=4 * first)


class Ticket:
    """A place in the queue. `wake(None)` grants the slot, `wake(reason)` sends away; one of them happens, once."""

    __slots__ = ("arrived_s", "priority", "waiting", "wake")

    def __init__(self, priority: Priority, arrived_s: float, wake: Callable[[Shed | None], None]) -> None:
        self.priority, self.arrived_s, self.wake, self.waiting = priority, arrived_s, wake, True


#: A standing queue may make its class wait this share of what it may wait otherwise.
STANDING_SHARE = 0.1


class Admission:
    """Slots with a queue in front of them, by class.

    A class may have a slot while it and all below it hold less than their share, and the same is true of every class
    above. So a class that may have one finds no waiter of its own class or a higher one: whenever a slot or room is
    gained, waiters go in at once, the highest class first.
    """

    def __init__(self, settings: AdmissionSettings | None = None) -> None:
        self.settings = settings or AdmissionSettings()
        self.shed: dict[tuple[Priority, Shed], int] = {}
        self._queues: dict[Priority, deque[Ticket]] = {priority: deque() for priority in Priority}
        self._queued = 0
        self._began_s = [-math.inf] * len(Priority)  # when somebody came into the empty queue of the class
        self._held = [0] * len(Priority)  # slots that a class and all below it hold together
        self._may_hold: list[int] = []
        self._set_limit(self.settings.first_limit)
        self._wanted_more = False
        self._decreased_s = -math.inf
        self._pages = self._slow_pages = 0

    @property
    def in_flight(self) -> int:
        return self._held[Priority.CHECKOUT]

    def queued(self) -> Mapping[Priority, int]:
        """Waiters by class."""
        return {priority: len(queue) for priority, queue in self._queues.items()}

    def try_enter(self, priority: Priority) -> bool:
        """Takes a slot if the class may have one now. Whoever took one gives it back with `leave`."""
        if not self._fits(priority):
            return False
        held = self._held
        for level in _FROM[priority]:
            held[level] += 1
        return True

    def leave(self, priority: Priority, now_s: float, took_s: float | None = None) -> None:
        """Gives a slot back and wakes whoever is next. `took_s`: how long a page took, for the limit to learn from."""
        held = self._held
        for level in _FROM[priority]:
            held[level] -= 1
        if took_s is not None:
            self._pages += 1
            self._slow_pages += took_s > self.settings.slow_s
        if self._queued:
            self._let_in(now_s)

    def wait(self, priority: Priority, now_s: float, wake: Callable[[Shed | None], None]) -> Ticket | Shed:
        """A place in the queue, or why there is none. With the queue full, a lower class's newest waiter goes."""
        if self._queued >= self.settings.most_queued and not self._evict_below(priority):
            self._count(priority, Shed.QUEUE_FULL)
            return Shed.QUEUE_FULL
        ticket = Ticket(priority, now_s, wake)
        queue = self._queues[priority]
        if not queue:
            self._began_s[priority] = now_s
        queue.append(ticket)
        self._queued += 1
        # Bots at their share need no more slots.
        self._wanted_more |= priority is not Priority.BOT
        return ticket

    def give_up(self, ticket: Ticket, why: Shed) -> None:
        """Sends a waiter away: its client left, or its time is over. One that waits no more is left alone."""
        if ticket.waiting:
            self._queues[ticket.priority].remove(ticket)
            self._send_away(ticket, why)

    def adapt(self, lag_s: float, now_s: float) -> int:
        """Sends away who waited too long and returns the limit from now on. To be called every 0.1 s or so.

        Slots are added while requests wait for one and the process keeps up; a share is taken when the event loop lags
        or too many pages are slow. Waiting for a slot alone never takes slots: that would make it longer.
        """
        settings = self.settings
        for priority in Priority:
            self._drop_late(priority, now_s)
        if lag_s > settings.lag_s or self._too_many_slow():
            if now_s - self._decreased_s >= settings.rest_s:
                self._decreased_s = now_s
                kept = min(settings.kept_share, max(settings.least_kept_share, settings.lag_s / max(lag_s, 1e-9)))
                self._set_limit(max(settings.least_limit, int(self.limit * kept)))
        elif self._wanted_more:
            self._set_limit(min(settings.most_limit, self.limit + settings.increase))
            self._let_in(now_s)
        self._wanted_more = self._queued > len(self._queues[Priority.BOT])
        return self.limit

    def _fits(self, priority: Priority) -> bool:
        held, may_hold = self._held, self._may_hold
        for level in _FROM[priority]:  # noqa: SIM110 — a generator would cost more than the whole decision
            if held[level] >= may_hold[level]:
                return False
        return True

    def _let_in(self, now_s: float) -> None:
        for priority in reversed(Priority):
            self._drop_late(priority, now_s)
            queue = self._queues[priority]
            while queue and self.try_enter(priority):
                self._take_out(queue.popleft()).wake(None)

    def _drop_late(self, priority: Priority, now_s: float) -> None:
        """Sends away who waited longer than the class may.

        A queue that did not empty once in as long as its class may wait is a standing one: it makes everybody late and
        serves nobody more, so only who came just now is kept (CoDel's thought). Checkouts keep waiting: what they
        wait for is a switchover, which ends.
        """
        queue, most_s = self._queues[priority], self.settings.most_wait_s[priority]
        standing = priority is not Priority.CHECKOUT and now_s - self._began_s[priority] > most_s
        kept_s = most_s * STANDING_SHARE if standing else most_s
        while queue and (waited_s := now_s - queue[0].arrived_s) > kept_s:
            self._send_away(queue.popleft(), Shed.WAITED_TOO_LONG if waited_s > most_s else Shed.STANDING_QUEUE)

    def _evict_below(self, priority: Priority) -> bool:
        for lower in range(priority):
            if queue := self._queues[Priority(lower)]:
                self._send_away(queue.pop(), Shed.EVICTED)
                return True
        return False

    def _take_out(self, ticket: Ticket) -> Ticket:
        ticket.waiting = False
        self._queued -= 1
        return ticket

    def _send_away(self, ticket: Ticket, why: Shed) -> None:
        self._count(ticket.priority, why)
        self._take_out(ticket).wake(why)

    def _count(self, priority: Priority, why: Shed) -> None:
        self.shed[priority, why] = self.shed.get((priority, why), 0) + 1

    def _set_limit(self, limit: int) -> None:
        self.limit = limit
        self._may_hold = [max(1, int(self.settings.shares[priority] * limit)) for priority in Priority]

    def _too_many_slow(self) -> bool:
        if self._pages < self.settings.least_pages:
            return False
        too_many = self._slow_pages > self.settings.slow_share * self._pages
        self._pages = self._slow_pages = 0
        return too_many


#: The classes whose shares a slot of a class counts towards: itself and all above.
_FROM = tuple(tuple(range(priority, len(Priority))) for priority in Priority)
