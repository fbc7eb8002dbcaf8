"""CPU that is burnt in child processes: a thread would only take the interpreter lock from the service."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from demo_shop.faults.fault import Fault

_BURNER: Final = Path(__file__).with_name("burner.py")


class CpuBurn:
    """As many burners as whole cores are asked for, each with its share. They die with this process."""

    def __init__(self) -> None:
        self._burners: list[subprocess.Popen[bytes]] = []
        self._share = 0.0

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(burner.pid for burner in self._burners)

    async def hold(self, fault: Fault, now_s: float) -> None:
        count = math.ceil(fault.magnitude)
        if count == 0:
            return
        if any(burner.poll() is not None for burner in self._burners):
            await self.end()  # somebody killed one: begin anew
        while len(self._burners) < count:
            self._burners.append(_start_burner())
        share = round(fault.level(now_s) * fault.magnitude / count, 2)
        if share != self._share:
            self._share = share
            for burner in self._burners:
                _tell(burner, share)

    async def end(self) -> None:
        burners, self._burners, self._share = self._burners, [], 0.0
        for burner in burners:
            burner.kill()
            if burner.stdin is not None:
                burner.stdin.close()
        for burner in burners:
            await asyncio.to_thread(burner.wait)


def _start_burner() -> subprocess.Popen[bytes]:
    # Started by the thread of the event loop: the kernel's death signal is bound to the thread that starts a child.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_BURNER), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={},  # no secrets
        bufsize=0,
    )


def _tell(burner: subprocess.Popen[bytes], share: float) -> None:
    assert burner.stdin is not None
    try:
        burner.stdin.write(f"{share:.2f}\n".encode())
    except BrokenPipeError:
        return  # it died; the next look starts another
