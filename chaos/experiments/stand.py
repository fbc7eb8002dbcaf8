"""What an experiment needs of a cluster, in small ports; adapters make a stand of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from chaos.experiments.arms import LiveArm
from chaos.experiments.injecting.stage import Verbs
from chaos.experiments.live_plan import LivePlan
from chaos.experiments.run_folder import Bookkeeping, RunFolder
from forecasting.forecast import DeclaredEvent


class Installer(Protocol):
    """All raise `RunFailed`."""

    def set_up(self, plan: LivePlan, arm: LiveArm) -> None:
        """A fresh shop with this arm, all pods Ready; whatever was there before is gone. What the arm has beside HPAs
        only looks on."""

    def announce(self, arm: LiveArm, events: Sequence[DeclaredEvent], zero_s: float) -> None:
        """Tell the arm what people would have told it; `zero_s` is the Unix time of t = 0."""

    def let_act(self, arm: LiveArm) -> None:
        """From now on the arm does what it would do."""

    def tear_down(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LoadSeen:
    """How far the load is. Counts since it began."""

    settled: int
    bad: int  # failed or skipped
    p99_s: float | None
    ended: bool


class RunningLoad(Protocol):
    @property
    def began_s(self) -> float:
        """Unix time of its first possible request."""
        ...

    def seen(self) -> LoadSeen:
        """Raises `RunFailed` when the sending process broke off."""
        ...

    def stop(self) -> None:
        """End early; what was seen so far is kept. Safe to do twice, and after the end."""


class LoadDriver(Protocol):
    def start(self, plan: LivePlan, folder: RunFolder) -> RunningLoad:
        """Visitors and probe begin, with requests and ledger in the folder. Raises `RunFailed`."""
        ...


class Observer(Protocol):
    def unready(self) -> tuple[str, ...] | None:
        """Workloads with fewer pods ready than wanted; None: the API server does not say."""
        ...

    def watching(self, folder: RunFolder) -> AbstractContextManager[None]:
        """Inside, workloads are taken down each second, and the decisions of the operator."""
        ...

    def collect(self, folder: RunFolder, zero_s: float, end_s: float, step_s: float) -> None:
        """What Prometheus knows of services and pods between these Unix times. Raises `RunFailed`."""


class Bookkeeper(Protocol):
    def settle(self, folder: RunFolder) -> Bookkeeping | None:
        """The ledger beside the shop's books when nothing is under way any more; None: they cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Stand:
    """A cluster that experiments can be made on."""

    installer: Installer
    load: LoadDriver
    observer: Observer
    books: Bookkeeper
    verbs: Verbs
