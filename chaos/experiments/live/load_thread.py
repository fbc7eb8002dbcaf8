"""The load beside an experiment: `run_load` in a thread of its own, stopped as Ctrl-C would stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chaos.experiments.live_plan import LivePlan
from chaos.experiments.problems import RunFailed
from chaos.experiments.run_folder import RunFolder
from chaos.experiments.stand import LoadSeen
from chaos.load.plan import LoadPlan
from chaos.load.probe import ProbePlan
from chaos.load.run import Progress

STOP_LIMIT_S = 120.0
START_LIMIT_S = 60.0

#: `chaos.load.run.run_load`.
RunLoad = Callable[[LoadPlan, Callable[[Progress], None]], Any]


@dataclass(frozen=True, slots=True)
class ThreadedLoad:
    """`LoadDriver` against a shop whose `url` is asked for when the load begins. It may raise `RunFailed`."""

    url: Callable[[], str]
    run_load: RunLoad
    allowed_hosts: tuple[str, ...] = ()
    probe: ProbePlan | None = field(default_factory=ProbePlan)
    now_s: Callable[[], float] = time.time

    def start(self, plan: LivePlan, folder: RunFolder) -> LoadThread:
        asked = LoadPlan(
            url=self.url(),
            shape=plan.shape,
            out=folder.load,
            ledger=folder.ledger,
            seed=plan.seed,
            mix=plan.mix,
            probe=self.probe,
            allowed_hosts=self.allowed_hosts,
        )
        load = LoadThread(asked, self.run_load, self.now_s)
        load.begin()
        return load


class LoadThread:
    """`RunningLoad`. When it began is worked out from its first report, which says how far it is."""

    def __init__(self, plan: LoadPlan, run_load: RunLoad, now_s: Callable[[], float]) -> None:
        self._plan = plan
        self._run_load = run_load
        self._now_s = now_s
        self._began_s = 0.0
        self._last: Progress | None = None
        self._problem: Exception | None = None
        self._stopping = threading.Event()
        self._asked = False
        self._heard = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def begin(self) -> None:
        """Returns with the first report. Raises `RunFailed` when none comes."""
        self._thread.start()
        if not self._heard.wait(START_LIMIT_S) or self._problem is not None or self._last is None:
            raise RunFailed(f"the load did not begin: {self._problem or f'no report in {START_LIMIT_S:g} s'}")

    @property
    def began_s(self) -> float:
        return self._began_s

    def seen(self) -> LoadSeen:
        if self._problem is not None:
            raise RunFailed(f"the load broke off: {self._problem}")
        last = self._last
        assert last is not None
        p99_s = None if last.p99_ms is None else last.p99_ms / 1000.0
        bad = last.failed + last.skipped
        return LoadSeen(last.ok + bad, bad, p99_s, not self._thread.is_alive())

    def stop(self) -> None:
        """Raises `RunFailed` when it does not end."""
        self._stopping.set()
        self._thread.join(STOP_LIMIT_S)
        if self._thread.is_alive():
            raise RunFailed(f"the load did not end within {STOP_LIMIT_S:g} s of being asked")

    def _run(self) -> None:
        try:
            self._run_load(self._plan, self._watch)
        except Exception as error:  # noqa: BLE001 – the outermost frame of the thread; `seen` tells it
            self._problem = error
        finally:
            self._heard.set()

    def _watch(self, progress: Progress) -> None:
        if self._last is None:
            self._began_s = self._now_s() - progress.elapsed_s
        self._last = progress
        self._heard.set()
        if self._stopping.is_set() and not self._asked:
            self._asked = True  # a second interrupt would kill the sender instead of letting it finish
            raise KeyboardInterrupt
