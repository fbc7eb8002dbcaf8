"""One replica's life: what starts when, and what ends in which order, so that a successor need not wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from foresail.leadership.keeper import LeaderKeeper
from foresail.policy_store import PolicyStore
from foresail.runner import Runner
from foresail.telemetry.server import TelemetryServer

log = logging.getLogger("foresail.process")

#: A tick that is under way may end, requests and all; Kubernetes waits 30 s before it kills.
LAST_TICK_S = 12.0
RELEASE_S = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """Something with a thread of its own. Neither call waits for long."""

    start: Callable[[], object]
    stop: Callable[[], object]


@dataclass(slots=True)
class Operator:
    """`start` once, `stop` once. `store` is where policies are told of."""

    store: PolicyStore
    runner: Runner
    keeper: LeaderKeeper
    server: TelemetryServer
    parts: Sequence[Part]
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        """Returns at once; raises `OSError` where the port is taken."""
        self.server.start()
        for part in self.parts:
            part.start()
        self._thread = threading.Thread(target=self.runner.run, name="foresail-loop", daemon=True)
        self._thread.start()
        self.keeper.start()
        log.info("started", extra={"port": self.server.port})

    def stop(self) -> None:
        """The loop ends and leaves its checkpoint, then the Lease is free, then everything else ends."""
        self.runner.stop()
        thread = self._thread
        if thread is not None:
            thread.join(LAST_TICK_S)
        if thread is not None and thread.is_alive():
            # Its last write may still be under way: nobody else may lead before the Lease has run out.
            log.warning("loop_did_not_end", extra={"waited_s": LAST_TICK_S})
            self.keeper.abandon(RELEASE_S)
        else:
            self.keeper.release(RELEASE_S)
        for part in reversed(self.parts):
            try:
                part.stop()
            except Exception:
                log.exception("part_did_not_stop")
        self.server.stop()
        log.info("stopped")
