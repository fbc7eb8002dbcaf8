"""Burns a share of one core until its standard input closes. Run as a script: `burner.py <pid of the parent>`.

Each line on standard input is the share from then on, 0 to 1.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from typing import Final

_PERIOD_S: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1


def burn(share: float, period_s: float) -> float:
    """Burns `share` of the period in CPU time, never past its end; returns the seconds that are left of it."""
    start_s, burnt_s = time.monotonic(), time.process_time()
    while time.process_time() - burnt_s < share * period_s and time.monotonic() - start_s < period_s:
        for _ in range(2_000):
            pass
    return max(0.0, period_s - (time.monotonic() - start_s))


def die_with_parent() -> None:
    """Where the kernel can (Linux), a parent that is killed takes this process along at once."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(parent_pid: int) -> None:
    die_with_parent()
    if os.getppid() != parent_pid:
        return  # it died before we could ask for the signal
    share = 0.0
    while True:
        rest_s = burn(share, _PERIOD_S)
        if not select.select([0], [], [], rest_s)[0]:
            continue
        lines = os.read(0, 4096).split()
        if not lines:
            return
        share = float(lines[-1])


if __name__ == "__main__":
    main(int(sys.argv[1]))
