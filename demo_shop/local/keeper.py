"""Keeping one process running as a kubelet would: started again when it dies, later each time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from demo_shop.local.account import Account
from demo_shop.local.orphans import Adopted
from demo_shop.local.programs import Program

# A log of a process that talks too much is emptied at this size; a demonstration needs no archive.
MOST_LOG_BYTES = 32 * 1024 * 1024


@dataclass(slots=True)
class Backoff:
    """Pauses before restarts, in seconds: 0.2 doubling to 5, from the beginning again after 30 s alive."""

    first_s: float = 0.2
    most_s: float = 5.0
    forgiven_after_s: float = 30.0
    _next_s: float | None = None

    def pause_s(self, lived_s: float) -> float:
        """Pause after a life of `lived_s` seconds."""
        if self._next_s is None or lived_s >= self.forgiven_after_s:
            self._next_s = self.first_s
        pause = self._next_s
        self._next_s = min(2.0 * pause, self.most_s)
        return pause


class Keeper:
    """One program and its present process. Times are monotonic seconds given by the caller."""

    def __init__(self, program: Program, account: Account | None, is_held: Callable[[str], bool]) -> None:
        self.program = program
        self.starts = 0
        self._account = account
        self._is_held = is_held
        self._backoff = Backoff()
        self._process: subprocess.Popen[bytes] | Adopted | None = None
        self._started_s = 0.0
        self._start_again_s: float | None = None
        self._last_code: int | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def last_end(self) -> str:
        """How the latest process ended that did."""
        if self._last_code is None:
            return "not ended yet"
        if self._last_code < 0:
            return f"ended by signal {-self._last_code}"
        return f"ended with code {self._last_code}"

    def start(self, now_s: float) -> None:
        account = self._account
        with open(self.program.log, "ab") as log:
            self._process = subprocess.Popen(
                self.program.command,
                env=dict(self.program.environment),
                cwd=self.program.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal is the launcher's alone, which stops things in order.
                start_new_session=True,
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
                umask=0o077,
            )
        self._has_started(now_s)

    def adopt(self, pid: int, now_s: float) -> None:
        """Keeps a process that somebody else has started; the next one is its own."""
        self._process = Adopted(pid)
        self._has_started(now_s)

    def tick(self, now_s: float) -> bool:
        """Whether a process was started anew just now."""
        if self._process is None or self._process.poll() is None:
            return False
        if self._start_again_s is None:
            self._last_code = self._process.returncode
            self._start_again_s = now_s + self._backoff.pause_s(now_s - self._started_s)
        if now_s < self._start_again_s or self._is_held(self.program.name):
            return False
        self.start(now_s)
        return True

    def send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def trim_log(self) -> None:
        # The process writes in append mode, so that it goes on at the new end.
        if self.program.log.stat().st_size > MOST_LOG_BYTES:
            os.truncate(self.program.log, 0)

    def _has_started(self, now_s: float) -> None:
        self.starts += 1
        self._started_s = now_s
        self._start_again_s = None

    def last_words(self, lines: int = 8) -> str:
        """The end of the process's log."""
        text = self.program.log.read_bytes()[-8192:].decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-lines:])
