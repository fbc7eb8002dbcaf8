"""The end of the process, without a goodbye."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

from demo_shop.faults.fault import Fault

#: The answer to whoever asked for it must be out first.
GRACE_S: Final = 0.25


def kill_this_process() -> None:
    """Does not return."""
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)  # process 1 of a container survives its own SIGKILL


class PodCrash:
    """Kills the process once the ramp is over. A magnitude below 1 is no pod."""

    def __init__(self, crash: Callable[[], None] = kill_this_process) -> None:
        self._crash = crash

    async def hold(self, fault: Fault, now_s: float) -> None:
        if fault.magnitude >= 1.0 and now_s - fault.started_at_s >= max(fault.ramp_s, GRACE_S):
            self._crash()

    async def end(self) -> None:
        return
