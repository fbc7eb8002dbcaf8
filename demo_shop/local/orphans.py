"""Adopting what detaches itself, so that a killed postmaster never lingers as a zombie that Patroni takes for alive."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_descendants() -> None:
    """Processes below us that lose their parent become our children (Linux; elsewhere init takes them)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury_adopted(own: set[int]) -> None:
    """Reaps dead children other than our own, whose exit codes their keepers read."""
    if sys.platform != "linux":
        return
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if dead is None or dead.si_pid in own:
            return
        os.waitpid(dead.si_pid, 0)
