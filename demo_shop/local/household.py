"""The processes of one shop together: kept running, waited for, stopped in order."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import FrameType

from demo_shop.local import orphans
from demo_shop.local.account import Account
from demo_shop.local.keeper import Keeper
from demo_shop.local.programs import Program


class StartFailed(Exception):
    """The shop did not come up; the message says what hung and quotes its log."""


class Interrupted(Exception):
    """Somebody asked us to stop."""


class Household:
    """Keepers in the order they were started. Runs in one thread; SIGCHLD wakes it when a process ends."""

    def __init__(self, account: Account | None, is_held: Callable[[str], bool], say: Callable[[str], None]) -> None:
        self.keepers: list[Keeper] = []
        self._account = account
        self._is_held = is_held
        self._say = say
        self._others: list[subprocess.Popen[bytes]] = []
        self._asked_to_stop = 0
        self._wakes, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def listen(self) -> None:
        """Takes over SIGINT, SIGTERM, SIGHUP and SIGCHLD of this process."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop_asked)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.close(self._wakes)
        os.close(self._wake)

    def own(self, process: subprocess.Popen[bytes]) -> None:
        """A child that somebody else waits for."""
        self._others.append(process)

    def start(self, programs: Iterable[Program]) -> None:
        for program in programs:
            keeper = Keeper(program, self._account if program.is_store else None, self._is_held)
            keeper.start(time.monotonic())
            self.keepers.append(keeper)

    def adopt(self, programs: Iterable[Program], born: Mapping[str, int]) -> None:
        """Keeps programs that run already; starts those that do not."""
        for program in programs:
            keeper = Keeper(program, None, self._is_held)
            if program.name in born:
                keeper.adopt(born[program.name], time.monotonic())
            else:
                keeper.start(time.monotonic())
            self.keepers.append(keeper)

    def tick(self, nap_s: float) -> bool:
        """Whether a process was started anew. Sleeps up to `nap_s` before; raises `Interrupted` when asked to stop."""
        self._nap(nap_s)
        if self._asked_to_stop:
            raise Interrupted
        started = [keeper for keeper in self.keepers if keeper.tick(time.monotonic())]
        for keeper in started:
            self._say(f"{keeper.program.name} had {keeper.last_end}; started again as process {keeper.pid}")
        orphans.bury_adopted(self._pids())
        return bool(started)

    def wait_until(self, what: str, is_done: Callable[[], bool], limit_s: float) -> None:
        """Raises `StartFailed` after `limit_s` seconds, and `Interrupted`."""
        deadline = time.monotonic() + limit_s
        while not is_done():
            if time.monotonic() >= deadline:
                raise StartFailed(f"{what}: not ready after {limit_s:.0f} s{self._troubles()}")
            self.tick(0.05)

    def stop(self, roles: Sequence[str], number: signal.Signals, gently_s: float) -> None:
        """Ends the processes of these roles together; by force after `gently_s` seconds or at a second request."""
        group = [keeper for keeper in self.keepers if keeper.program.role in roles]
        before = self._asked_to_stop
        for keeper in group:
            keeper.send(number)
        deadline = time.monotonic() + gently_s
        while any(keeper.is_running() for keeper in group):
            if time.monotonic() >= deadline or self._asked_to_stop > max(before, 1):
                for keeper in group:
                    keeper.send(signal.SIGKILL)
            self._nap(0.05)
            orphans.bury_adopted(self._pids())

    def _troubles(self) -> str:
        unlucky = [keeper for keeper in self.keepers if keeper.starts > 1] or self.keepers
        return "".join(f"\n--- {keeper.program.name}\n{keeper.last_words()}" for keeper in unlucky)

    def _pids(self) -> set[int]:
        kept = {keeper.pid for keeper in self.keepers if keeper.pid is not None}
        return kept | {process.pid for process in self._others}

    def _nap(self, seconds: float) -> None:
        select.select([self._wakes], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._wakes, 4096)

    def _stop_asked(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_stop += 1
