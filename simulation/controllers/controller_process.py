"""The operator's process in the simulator: it dies, comes back with its last checkpoint, and waits for the lease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policies.decision import Decision
from policies.loop import ControlLoop

CHECKPOINT_PERIOD_S = 300.0
#: A successor leads once the dead leader's lease has run out.
LEASE_S = 15.0


class ControllerProcess:
    """Runs the loop while it lives. All its memory but the checkpoint is lost in a crash."""

    def __init__(self, make_loop: Callable[[], ControlLoop], *, keeps_checkpoints: bool) -> None:
        """`keeps_checkpoints` False: nothing ever restarts this process, so none need to be written."""
        self._make_loop = make_loop
        self._keeps_checkpoints = keeps_checkpoints
        self._loop: ControlLoop | None = make_loop()
        self._checkpoint: Any = None
        self._checkpoint_at_s = -float("inf")
        self._died_at_s = -float("inf")

    @property
    def loop(self) -> ControlLoop | None:
        return self._loop

    def live(self, now_s: float, alive: bool) -> None:
        """Call every second. A process that is not alive loses its loop; one that is takes the lead when it may."""
        if not alive:
            if self._loop is not None:
                self._loop = None
                self._died_at_s = now_s
        elif self._loop is None and now_s >= self._died_at_s + LEASE_S:
            self._loop = self._make_loop()
            if self._checkpoint is not None:
                self._loop.restore(self._checkpoint)

    def tick(self, now_s: float) -> tuple[Decision, ...]:
        """The loop's decisions; none while it is dead or not yet the leader again."""
        loop = self._loop
        if loop is None:
            return ()
        decisions = loop.tick(now_s)
        if now_s - self._checkpoint_at_s >= CHECKPOINT_PERIOD_S:
            self.write_checkpoint(now_s)
        return decisions

    def fast_tick(self, now_s: float) -> tuple[Decision, ...]:
        return () if self._loop is None else self._loop.fast_tick(now_s)

    def write_checkpoint(self, now_s: float) -> None:
        """Called every five minutes and before acts."""
        if self._keeps_checkpoints and self._loop is not None and now_s > self._checkpoint_at_s:
            self._checkpoint = self._loop.checkpoint()
            self._checkpoint_at_s = now_s

    def restart(self) -> None:
        """An orderly restart: checkpoint, new process, restore. It must change no decision."""
        if self._loop is None:
            return
        checkpoint = self._loop.checkpoint()
        self._loop = self._make_loop()
        self._loop.restore(checkpoint)
