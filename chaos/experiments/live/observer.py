"""Looks at the shop each second while an experiment runs, and takes down what it sees."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from chaos.experiments.live.kube import unready
from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow, write_rows
from chaos.experiments.problems import RunFailed
from chaos.experiments.run_folder import RunFolder, add_decisions

LOOKS_EVERY_S = 1.0
#: So long a pod may take to become ready before somebody is said to miss it.
STARTING_LOOKS = 60
DECISIONS_EVERY_S = 15.0
TIMEOUT_S = 5.0


class Workloads(Protocol):
    def rows(self, at_s: float) -> tuple[WorkloadRow, ...] | None: ...


class Numbers(Protocol):
    def services(self, first_s: float, last_s: float, step_s: float) -> tuple[ServiceRow, ...]: ...

    def pods(self, first_s: float, last_s: float, step_s: float) -> tuple[PodRow, ...]: ...


#: The newest decisions of the operator as it tells them; None: it does not answer, or there is none.
Decisions = Callable[[], list[Mapping[str, Any]] | None]


class LiveObserver:
    """`Observer`. One thread looks; what it saw of late is what `unready` goes by."""

    def __init__(
        self, workloads: Workloads, numbers: Numbers, decisions: Decisions, now_s: Callable[[], float] = time.time
    ) -> None:
        self._workloads = workloads
        self._numbers = numbers
        self._decisions = decisions
        self._now_s = now_s
        self._last: tuple[WorkloadRow, ...] | None = None
        self._looks: deque[tuple[WorkloadRow, ...]] = deque(maxlen=STARTING_LOOKS)
        self._told: dict[str, Mapping[str, Any]] = {}

    def unready(self) -> tuple[str, ...] | None:
        return None if self._last is None else unready(tuple(self._looks))

    @contextmanager
    def watching(self, folder: RunFolder) -> Iterator[None]:
        """The decisions are written at the end, each once; a run without an operator gets no file of them."""
        self._last, self._told = None, {}
        self._looks.clear()
        folder.path.mkdir(parents=True, exist_ok=True)
        over = threading.Event()
        thread = threading.Thread(target=self._look, args=(folder, over), name="observer", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(2 * TIMEOUT_S)
            answered = self._ask()
            if answered or self._told:
                add_decisions(folder, self._told.values())

    def collect(self, folder: RunFolder, zero_s: float, end_s: float, step_s: float) -> None:
        services = self._numbers.services(zero_s + step_s, end_s, step_s)
        if not services:
            raise RunFailed("Prometheus saw no request of the shop during the run: is every pod scraped, and labelled?")
        write_rows(folder.services, ServiceRow, services)
        write_rows(folder.pods, PodRow, self._numbers.pods(zero_s + step_s, end_s, step_s))

    def _look(self, folder: RunFolder, over: threading.Event) -> None:
        asks_at_s = self._now_s()
        while not over.is_set():
            began_s = self._now_s()
            self._last = self._workloads.rows(began_s)
            if self._last is not None:
                self._looks.append(self._last)
            write_rows(folder.workloads, WorkloadRow, self._last or ())
            if began_s >= asks_at_s:
                self._ask()
                asks_at_s = began_s + DECISIONS_EVERY_S
            over.wait(max(0.0, LOOKS_EVERY_S - (self._now_s() - began_s)))

    def _ask(self) -> bool:
        """Whether the operator answered. It keeps its last decisions only, so it is asked again and again."""
        told = self._decisions()
        self._told.update({str(one["id"]): one for one in told or ()})
        return told is not None


def decisions_of(addresses: Callable[[], list[str]]) -> Decisions:
    """Asks every replica, base addresses like http://127.0.0.1:8080: only the leader has decided anything."""

    def asked() -> list[Mapping[str, Any]] | None:
        found: list[Mapping[str, Any]] | None = None
        for address in addresses():
            try:
                with urllib.request.urlopen(f"{address}/decisions?limit=500", timeout=TIMEOUT_S) as answer:
                    found = [*(found or ()), *json.load(answer)]
            except (urllib.error.URLError, OSError, TypeError, ValueError):
                continue
        return found

    return asked
