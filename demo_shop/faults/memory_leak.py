"""Memory that is taken bit by bit and given back to the system at the end."""

from __future__ import annotations

import mmap
from typing import Final

from demo_shop.faults.fault import Fault

MIB: Final = 1024 * 1024
_BLOCK_BYTES: Final = MIB // 4
#: The pod's memory limit should strike first; where there is none, the machine must survive.
MOST_BYTES: Final = 8 * 1024 * MIB


class MemoryLeak:
    """Private mappings with every page touched: resident memory grows by what is asked, and falls when they close."""

    def __init__(self) -> None:
        self._blocks: list[mmap.mmap] = []

    @property
    def held_bytes(self) -> int:
        return len(self._blocks) * _BLOCK_BYTES

    async def hold(self, fault: Fault, now_s: float) -> None:
        wanted_bytes = min(MOST_BYTES, fault.grown(now_s) * MIB)
        while self.held_bytes + _BLOCK_BYTES <= wanted_bytes:
            self._blocks.append(_touched_block())

    async def end(self) -> None:
        while self._blocks:
            self._blocks.pop().close()


def _touched_block() -> mmap.mmap:
    block = mmap.mmap(-1, _BLOCK_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages = _BLOCK_BYTES // mmap.PAGESIZE
    block[:: mmap.PAGESIZE] = b"\x01" * pages
    return block
