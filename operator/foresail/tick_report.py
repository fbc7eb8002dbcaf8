"""What one tick of the loop saw, expected, decided and did: everything that is told to people and to Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from forecasting.forecast import Forecast
from policies.decision import Action, Decision
from policies.memory import Memory
from policies.model import Observation, PolicySet


@dataclass(frozen=True, slots=True)
class TickReport:
    """One tick of the leader. Values only; holders must not keep many, forecasts are large."""

    at_s: float  # Unix time
    seconds: float  # it took
    fast: bool  # of the fast reactive lane: then no forecasts and no observation
    policies: PolicySet
    decisions: tuple[Decision, ...]
    refused: tuple[tuple[str, Action], ...]  # writes that did not happen, by decision id
    memory: Memory
    seen: Observation | None = None  # None: nothing could be observed
    demand: Forecast | None = None
    signals: Forecast | None = None


@dataclass(frozen=True, slots=True)
class TakeOver:
    """This replica began to lead."""

    at_s: float
    epoch: int
    checkpoint_at_s: float | None  # when the memory was written that it goes on with, None: it starts without
    problem: str | None = None  # why an existing checkpoint is of no use


class Observer(Protocol):
    """Is told what happened, in the loop's thread: must be quick and must not wait for anybody."""

    def ticked(self, report: TickReport) -> None: ...

    def took_over(self, event: TakeOver) -> None: ...
